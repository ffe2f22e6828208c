"""Report: a calibration as text."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from core.ranking.methods import METHODS

if TYPE_CHECKING:
    from core.trust.calibration import Calibration

_NAMES = {"span": "a run of {} tokens", "words": "{} content words", "whole": "whole captions"}


def report(calibration: Calibration) -> str:
    """Describe a calibration: success by length and method, then the quality of the verdict."""
    lines = [
        f"{calibration.captions:,} captions; success: {calibration.measure}, without the query's own caption",
        "",
        f"{'queries':20}{'count':>6}" + "".join(f"{method:>12}" for method in METHODS) + "   infersent's 95 %",
    ]
    for cell in calibration.curve:
        shares = "".join(f"{cell.by_method[method][0]:12.3f}" for method in METHODS)
        _, low, high = cell.by_method["infersent"]
        lines.append(f"{_NAMES[cell.kind].format(cell.length):20}{cell.count:6}{shares}   {low:.2f} to {high:.2f}")
    least = calibration.least_content
    auroc, (lead, low, high) = calibration.auroc, calibration.auroc_lead
    lines += [
        "",
        "too short: " + ("any length" if least is None else f"fewer than {least} content words"),
        f"reliable: a predicted probability of {calibration.reliable_from:.2f} or more"
        if calibration.reliable_from <= 1
        else "reliable: never, too few whole captions succeed",
        f"on held-out queries, AUROC of the verdict {_figure(auroc['verdict'])}, of the number of words alone "
        f"{_figure(auroc['words'])}, of the nearest distance alone {_figure(auroc['nearest_distance'])}",
        f"lead over the better of these {_figure(lead)}, 95 % {_figure(low)} to {_figure(high)}; "
        f"among queries of one length, AUROC {_figure(calibration.auroc_within_length)}",
        f"false alarms on whole captions that succeed {_figure(calibration.false_alarm, '.1%')}; "
        f"failing queries of one to three words caught {_figure(calibration.caught, '.1%')}",
        f"of foreign sentences {_figure(calibration.foreign_found, '.1%')} are found not to be of this corpus, "
        f"{_figure(calibration.foreign_reliable, '.1%')} are called reliable; of whole captions "
        f"{_figure(calibration.captions_lost, '.1%')} are taken for foreign",
        "predicted probability -> share that succeeded: "
        + "  ".join(f"{predicted:.2f} -> {found:.2f}" for predicted, found, _ in calibration.reliability),
        f"hubs: {len(calibration.hubs):,} captions are among the nearest of unusually many captions",
    ]
    return "\n".join(lines)


def _figure(value: float, form: str = ".3f") -> str:
    """Format a figure; a dash means that it could not be measured."""
    return "–" if isnan(value) else f"{value:{form}}"
