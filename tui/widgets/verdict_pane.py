"""VerdictPane: how reliable the hits are, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.reactive import reactive

from core.ranking.methods import BY_WORDS, Method
from tui.keys import first_key
from tui.panel import Panel
from tui.text import drawable

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.answers import Answer
    from core.trust.calibration import Calibration
    from core.trust.verdict import Verdict

_SIGNS = {"reliable": ("✔", "$text-success"), "doubtful": ("?", "$text-warning"), "unreliable": ("✘", "$text-error")}
_REASONS = {"+": "$text-success", "−": "$text-warning", "·": "$foreground-muted"}
_LEVELS = "▁▂▃▄▅▆▇█"


class VerdictPane(Panel):
    """The verdict with its reasons, and the measured success by query length."""

    BORDER_TITLE = "can I trust this?"
    DRAWS = ("answer", "calibration", "one_line")

    answer: reactive[Answer | None] = reactive(None, repaint=False)
    """None before the first answer."""
    calibration: reactive[Calibration | None] = reactive(None, repaint=False)
    """None until the corpus is calibrated."""
    one_line: reactive[bool] = reactive(False, repaint=False)
    """Whether there is only room for the level and the first reasons."""
    name_of: Callable[[Method], str] = str
    """Function from a method to the name that people read."""
    can_compare: bool = True
    """Whether there are several methods."""
    key_of: Callable[[str], str] = staticmethod(first_key)
    """Function from a command to its key."""

    def render(self) -> Content:
        """Draw the level, the curve, the reasons and the advice."""
        verdict = self.answer.verdict if self.answer else None
        if self.answer is None or verdict is None:
            return Content("")
        level = _level(verdict, self.name_of(self.answer.method))
        if self.one_line:
            reasons = " · ".join(drawable(reason[2:]) for reason in verdict.reasons)
            return Content.assemble(level, "  ", (reasons, "$foreground-muted"))
        lines = [level]
        if self.calibration is not None and self.calibration.measures(self.answer.method):
            content = self.answer.query.count_content_words(without_vector=self.answer.method in BY_WORDS)
            lines += curve(self.calibration, content, self.answer.method)
        lines += [
            Content.assemble((reason[0], _REASONS[reason[0]]), drawable(reason[1:])) for reason in verdict.reasons
        ]
        if verdict.level not in ("reliable", None):
            query = self.answer.query
            typed = self.can_compare and query.row is None and query.known > 0  # no other method ranks a sum
            compare = f"{self.key_of('compare')} compares the methods"
            advice = verdict.advice or (compare if typed and verdict.in_corpus is not False else "")
            lines += [Content.styled(f"→ {drawable(advice)}", "$text-accent")] if advice else []
        return Content("\n").join(lines)


def _level(verdict: Verdict, method: str) -> Content:
    if verdict.level is None:
        return Content.styled(f"BY {drawable(method).upper()}", "bold")
    sign, colour = _SIGNS[verdict.level]
    return Content.styled(f"{sign} {verdict.level.upper()}", f"bold {colour}")


def curve(calibration: Calibration, content: int, method: Method) -> list[Content]:
    """Draw the success rate by number of content words, with the query's number, `content`, in brackets."""
    cells = [(str(cell.length), cell) for cell in calibration.curve if cell.kind == "words"]
    here = max((i for i, (_, cell) in enumerate(cells) if cell.length <= content), default=None)
    cells += [("all", cell) for cell in calibration.curve if cell.kind == "whole"]
    highest = max((cell.by_method[method][0] for _, cell in cells), default=0) or 1.0
    heights, names, share = [], [], 0.0
    for i, (name, cell) in enumerate(cells):
        left, right = "[]" if i == here else "  "
        share = cell.by_method[method][0]
        heights.append(f"{left}{_LEVELS[round(share / highest * (len(_LEVELS) - 1))] * len(name)}{right}")
        names.append(f" {name} ")
    return [
        Content.assemble(("".join(heights), "$primary"), f" {share:.0%}"),  # of the last column, whole captions
        Content.styled("".join(names) + " words", "$foreground-muted"),
    ]
