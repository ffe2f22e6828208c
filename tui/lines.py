"""Lines: the one-line texts around the list, and the details of the caption under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.answers import Answer
    from core.corpus.captions import Captions
    from core.opening import Opened
    from core.ranking.methods import Choice
    from core.ranking.ranking import Ranking

_SHORT_DTYPES = {"bfloat16": "bf16", "float32": "f32"}


def header_line(opened: Opened, method: Choice) -> str:
    """Name the method, the model, the corpus and the device."""
    setup, vectors = opened.setup, opened.text_encoder.vocabulary.vectors
    return (
        f"infersent-tui   {method} · {setup.model_name} · {setup.assets.vectors.name} ({len(vectors):,})"
        f" · {opened.captions_name} ({len(opened.captions):,}) · {setup.device} {_SHORT_DTYPES[setup.dtype]}"
    )


def columns_line(
    ranking: Ranking | None, place: int | None, method: Choice, *, images: int | None, closer: bool
) -> str:
    """Name the columns of the list and describe the place of the cursor.

    `images` is the number of images if the list shows each image once, else None. `closer` says whether the list has
    the column for the share of random captions that are farther.
    """
    where = "no hits"
    if ranking is not None and place is not None:
        where = f"{place + 1:,} of {len(ranking):,}" + ("" if images is None else f" · {images:,} images")
    value = "distance" if ranking is None or ranking.scores is None else "score   "
    return f"    # {value}         {' closer' if closer else ''} caption   {where} · by {method}"


def timings_line(answer: Answer, *, brief: bool) -> str:
    """Describe the time that an answer took."""
    total = answer.timings_ms["total"]
    if brief:
        return f"{total:.0f} ms"
    parts = [f"{step} {answer.timings_ms[step]:.1f}" for step in ("encode", "search") if step in answer.timings_ms]
    return " · ".join([*parts, f"total {total:.1f} ms"])


def about_caption(captions: Captions, row: int, *, is_hub: bool) -> str:
    """Describe a caption: its id, its image, and whether it is a hub; a line each."""
    about, group = [f"caption {captions.ids[row]}"], captions.group(row)
    if group is not None:
        about += [f"image {group}", captions.file_names.get(group, ""), captions.urls.get(group, "")]
    if is_hub:
        about.append("a hub: among the nearest of unusually many captions")
    return "\n".join(filter(None, about))
