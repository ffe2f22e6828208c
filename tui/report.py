"""Report: a calibration as text."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import TYPE_CHECKING

from core.ranking.methods import AGAINST, METHODS, Method
from tui.text import fit

if TYPE_CHECKING:
    from core.trust.calibration import Calibration

_NAMES = {"span": "a run of {} token{}", "words": "{} content word{}", "whole": "whole captions"}


def report(calibration: Calibration, name_of: Callable[[Method], str] = str) -> str:
    """Describe a calibration: success by length and method, then the quality of the verdict.

    `name_of` returns the name of a method that people read.
    """
    methods = [method for method in (*METHODS, AGAINST) if calibration.measures(method)]
    by_images = "another caption of the same image among the first ten"
    success = by_images if calibration.by_images else "half of the whole caption's first ten"
    names = "".join(f"{fit(name_of(method), 11).strip():>12}" for method in methods)
    lines = [
        f"{calibration.captions:,} captions; success: {success}, without the query's own caption",
        "",
        f"{'queries':20}{'count':>6}{names}   {name_of('infersent')}'s 95 %",
    ]
    for cell in calibration.curve:
        shares = "".join(f"{cell.by_method[method][0]:12.3f}" for method in methods)
        _, low, high = cell.by_method["infersent"]
        name = _NAMES[cell.kind].format(cell.length, _plural(cell.length))
        lines.append(f"{name:20}{cell.count:6}{shares}   {low:.2f} to {high:.2f}")
    return "\n".join([*lines, "", *_quality(calibration)])


def _plural(number: int) -> str:
    return "" if number == 1 else "s"


def _quality(calibration: Calibration) -> list[str]:
    """Describe how good the verdict is."""
    least, figures = calibration.least_content, calibration.figures

    def show(name: str, value: float, form: str = ".3f") -> str:
        """Format a figure with its interval; a dash means that it could not be measured."""
        if isnan(value):
            return "–"
        low, high = figures.intervals.get(name, (value, value))
        return f"{value:{form}} ({low:{form}} to {high:{form}})"

    brief = "any length" if least is None else f"fewer than {least} content words" if least > 1 else "no length"
    auroc = {name: show(f"auroc {name}", value) for name, value in figures.auroc.items()}
    short = figures.short["auroc"].items()
    five = ", ".join(
        f"{length} word{_plural(int(length))} {show(f'short auroc {length}', value)}" for length, value in short
    )
    condemned, trusted = (
        show(f"short {name}", figures.short[name], ".1%") for name in ("condemned_though_right", "trusted_though_wrong")
    )
    alarm, found, lost = (
        show(name, getattr(figures, name), ".1%") for name in ("false_alarm", "foreign_found", "captions_lost")
    )
    return [
        f"too short for one scene: {brief}",
        "",
        "on images that it has not learned from, means of ten splits with 95 % intervals:",
        f"- AUROC of the predicted probability: {auroc['verdict']}; of the number of content words alone "
        f"{auroc['words']}, of the distance of hit 1 alone {auroc['nearest_distance']}; more than the better of these "
        f"by {show('auroc_lead', figures.auroc_lead)}",
        f"- among queries of one length: {show('auroc_within_length', figures.auroc_within_length)}; calibration "
        f"error {show('ece', figures.ece)}",
        f"- whole captions that succeed without being called reliable: {alarm}",
        f"- short queries with five confirmed hits that are called unreliable: {condemned}; with fewer, called "
        f"reliable: {trusted}; AUROC of their probability for five confirmed hits: {five or '–'}",
        f"- sentences about other things that are found not to be of this corpus: {found}; that are called reliable: "
        f"{show('foreign_reliable', figures.foreign_reliable, '.1%')}; whole captions taken for foreign {lost}",
        "- predicted probability -> share that succeeded: "
        + "  ".join(f"{predicted:.2f} -> {succeeded:.2f}" for predicted, succeeded, _ in figures.reliability),
        "",
        f"hubs: {len(calibration.hubs):,} captions are among the nearest of unusually many captions",
    ]
