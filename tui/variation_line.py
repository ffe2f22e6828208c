"""VariationLine: one variation of a text as a line, and what is claimed of all of them."""

from __future__ import annotations

from textual.content import Content

from core.trust.stress import Moved, Stressed, Threshold
from tui.text import bar_to_mark, counted, drawable, short_number

_BAR_CELLS = 10
_FEW_KINDS = 8


def claim(threshold: Threshold | None) -> str:
    """Say which variations are called unseen, or why none is."""
    if threshold is None:
        return "these captions allow too few harmless changes, so none of these is called unseen"
    if not threshold.holds:
        return f"only {threshold.control:.0%} of other nouns are seen, so no change is called unseen"
    reach = f"{threshold.distance:.4f}".lstrip("0")
    return f"unseen: within {reach}, like 95% of other articles and contractions"


def few_kinds(stressed: Stressed) -> str:
    """Say that few kinds of changes fit a text; empty where many do."""
    kinds = len({each.variation.kind for each in stressed.moved})
    if kinds >= _FEW_KINDS:
        return ""
    return f"only {counted(kinds, 'kind')} of changes fit this text: a longer English sentence has more"


def variation_line(moved: Moved, stressed: Stressed, *, width: int | None = None) -> Content:
    """Draw a variation: kind, distance as number and bar, whether it is unseen, hits kept, and its text.

    The bars run to the farthest variation, omissions aside, and have a mark at the threshold. A line of at most `width`
    cells is cut such that the first edit stays; None does not cut.
    """
    kind, threshold = f"{moved.variation.kind:11} ", stressed.threshold
    if moved.distance is None:
        head, told = Content(f"{kind}{'no known word':{_BAR_CELLS + 18}}"), ""
    else:
        others = [each.distance for each in stressed.moved if each.distance and each.variation.kind != "omission"]
        farthest = max(others, default=1.0)
        mark = None if threshold is None or not threshold.holds else threshold.distance / farthest
        drawn = bar_to_mark(moved.distance / farthest, _BAR_CELLS, mark=mark)
        told = "unseen" if moved.unseen else ""
        head = Content.assemble(
            f"{kind}{short_number(moved.distance):>4} ",
            (drawn, "$text-warning" if told else "$primary"),
            (f" {told:6} ", "bold $text-warning"),
            f"{moved.overlap:>2}/10 ",
        )
    return Content.assemble(head, _edited(moved, None if width is None else max(8, width - head.cell_length)))


def _edited(moved: Moved, cells: int | None) -> Content:
    """Draw the text of a variation with its edits in brackets; it begins near the first edit if that is far behind."""
    text, start = moved.variation.text, 0
    edits = moved.variation.edits
    if cells is not None and edits and edits[0][0] > cells // 2 and len(text) + 4 > cells:
        start = min(edits[0][0] - cells // 3, len(text) + 4 - cells)
    pieces, at = list[str | tuple[str, str]](), max(0, start)
    for begin, end in edits:
        pieces += [drawable(text[at:begin]), ("[" + drawable(text[begin:end]) + "]", "bold $text-accent")]
        at = end
    drawn = Content.assemble("…" if start > 0 else "", *pieces, drawable(text[at:]))
    return drawn if cells is None else drawn.truncate(cells, ellipsis=True)
