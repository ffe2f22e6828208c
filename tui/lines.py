"""Lines: the header, the titles of the panels, and the details of the caption under the cursor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from textual.content import Content

from core.ranking.methods import Choice
from tui.text import drawable, fit, short_number

if TYPE_CHECKING:
    from core.answers import Answer
    from core.corpus.captions import Captions
    from core.opened import Opened
    from core.ranking.ranking import Ranking
    from tui.session import Session, Visit

_LEVELS = {"reliable": "✔", "doubtful": "?", "unreliable": "✘"}
_LEAST_NAME = 8  # cells of a corpus's name
_IN_A_LINE = 1000  # characters of a text in a line of at most 100 cells
_SHORT_CELLS = 60  # below this width, the methods have their short names
_MOST_INDENTED = 20  # branches above a visit in the trail


def header(opened: Opened, choice: Choice, *, width: int, key: str) -> Content:
    """Name the corpus, the model and the methods, in at most `width` cells, and the `key` that changes the method.

    The chosen method is in brackets.
    """
    names = [drawable(opened.name_of(each, short=width < _SHORT_CELLS)) for each in opened.choices]
    tabs: list[str | tuple[str, str]] = []
    for each, name in zip(opened.choices, names, strict=True):
        tabs.append((f" [{name}]", "bold $text-accent") if each == choice else (f" {name}", "$foreground-muted"))
    room = width - sum(cell_len(name) + 1 for name in names) - 2
    count, model = f" · {len(opened.captions):,} │ ", f"{drawable(opened.setup.model_name)} │"
    corpus = drawable(opened.captions_name)
    if room < cell_len(count) + cell_len(model) + _LEAST_NAME:
        model = ""
    name_cells = max(0, min(cell_len(corpus), room - cell_len(count) - cell_len(model)))
    if name_cells < min(cell_len(corpus), _LEAST_NAME // 2):
        return Content.assemble(*tabs)
    left = room - name_cells - cell_len(count) - cell_len(model)
    hint = (key.rjust(left), "$foreground-muted") if left > len(key) else ""
    return Content.assemble((fit(corpus, name_cells), "bold"), count, model, *tabs, hint)


def query_title(session: Session, understood: str) -> Content:
    """Title the search box: how far the query is from where the person began to follow captions.

    `understood` says what was understood of the captions file; it stands there for the opening caption.
    """
    if session.is_typing or session.here is None:
        return _title("query", "")
    rest = ""
    if session.here.how == "followed":
        walk, drift = session.walk, session.here.drift
        away = "" if drift is None else f" · {short_number(drift)} from “{drawable(walk[0].text, most=_IN_A_LINE)}”"
        rest = f"step {len(walk) - 1}{away}"
    elif len(session.path) == 1 and understood:
        rest = drawable(understood)
    elif session.here.how != "typed":
        rest = "a random caption" if session.here.how == "random" else "a bookmark"
    return _title("query", rest)


def list_title(answer: Answer, ranking: Ranking | None, method: str, *, images: str) -> Content:
    """Title the list with the name of the method, and the filter with its size.

    `images` tells how many images there are if each is shown once.
    """
    among = f" · {answer.searched:,} with {drawable(answer.among.text)}" if answer.searched is not None else ""
    if ranking is None or not len(ranking):
        return _title("neighbours", f"none{among}")
    what = f"{images} · " if images else ""
    return _title("neighbours", f"{what}by {drawable(method)}{'' if ranking.scores is None else ' score'}{among}")


def _title(name: str, rest: str) -> Content:
    return Content.assemble(name, (f" {rest}", "not bold $foreground-muted") if rest else "")


def visit_line(visit: Visit, depth: int) -> Content:
    """Describe a visit in the trail: the step that led there, its distance from the start, and the query."""
    sign, text = _LEVELS.get(visit.level or "", " "), drawable(visit.text, most=_IN_A_LINE)
    if visit.how == "followed":
        step, drift = ("" if each is None else short_number(each) for each in (visit.step, visit.drift))
        return Content.assemble(f"{sign} ", (f"{step:>4} {drift:>4} ", "dim"), "  " * min(depth, _MOST_INDENTED), text)
    return Content.assemble(f"{sign} ", (f"{drawable(visit.how):9} ", "dim"), (text, "bold"))


def corpus_line(about: Mapping[str, Any]) -> Content:
    """Describe a corpus that was explored: its file, and by which model."""
    captions = Path(about["captions"])
    details = f"  {about['model']} · {about['count']:,} · {captions.parent}"
    return Content.assemble((drawable(captions.name), "bold"), (drawable(details), "dim"))


def bookmark_line(caption: str, note: str) -> Content:
    """Describe a bookmark: its note, and behind a line its caption."""
    text = drawable(caption, most=_IN_A_LINE)
    return Content.assemble((f"{drawable(note, most=_IN_A_LINE)} │ ", "$text-accent") if note else "", text)


def pin_line(pinned: str, told: str, *, width: int) -> Content:
    """Draw the pinned text, cut where there is no room for it, and what is told of its distance to the query."""
    room = max(8, width - cell_len(told) - 7)
    text = drawable(pinned)
    return Content.assemble(("pin ", "bold $text-accent"), fit(text, min(cell_len(text), room)), (f" · {told}", "bold"))


def timings_line(answer: Answer, *, brief: bool) -> str:
    """Describe the time that an answer took."""
    total = answer.timings_ms["total"]
    if brief:
        return f"{total:4.0f} ms"  # padded, so that the line beside it seldom moves
    parts = [f"{step} {answer.timings_ms[step]:4.1f}" for step in ("encode", "search") if step in answer.timings_ms]
    return " · ".join([*parts, f"total {total:5.1f} ms"])


def nearness(value: float, *, is_score: bool, closer: float | None) -> str:
    """Describe the distance, or the score, of a hit; `closer` is the share of random captions that are farther."""
    if is_score:
        return f"score {value:.4g}"
    if closer is None:
        return f"distance {value:.4f}"
    share = "all" if closer >= 1 else f"{int(10_000 * closer) / 100:.2f}% of"  # rounded down
    return f"distance {value:.4f}, nearer than {share} random captions"


def about_caption(captions: Captions, row: int, *, is_hub: bool, note: str | None) -> str:
    """Describe a caption, a line each: its id, its image, whether it is a hub, and the note of its bookmark."""
    about, group = [f"caption {captions.id(row)}"], captions.group(row)
    if group is not None:
        about = [f"{about[0]} · image {group}", captions.file_name(row) or "", captions.url(row) or ""]
    if is_hub:
        about.append("a hub: among the nearest of unusually many captions")
    if note is not None:
        about.append(f"★ {note}")
    return "\n".join(filter(None, about))
