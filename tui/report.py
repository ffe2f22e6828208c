"""Report: a calibration as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.methods import METHODS

if TYPE_CHECKING:
    from core.calibration import Calibration

_NAMES = {"span": "a run of {} tokens", "words": "{} content words", "whole": "whole captions"}


def report(calibration: Calibration) -> str:
    """Lay out what was measured: success by length and method, then how good the verdict is."""
    lines = [
        f"{calibration.captions:,} captions; success: {calibration.measure}, the query's own caption left out",
        "",
        f"{'queries':20}{'asked':>6}" + "".join(f"{method:>12}" for method in METHODS) + "   infersent's 95 %",
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
        f"reliable: a predicted chance of {calibration.reliable_from:.2f} or more"
        if calibration.reliable_from <= 1
        else "reliable: never, too few whole captions succeed",
        f"on held-out images, AUROC of the verdict {auroc['verdict']:.3f}, of the number of words alone "
        f"{auroc['words']:.3f}, of the nearest distance alone {auroc['nearest_distance']:.3f}",
        f"lead over the better of these {lead:.3f}, 95 % {low:.3f} to {high:.3f}; "
        f"among queries of one length, AUROC {calibration.auroc_within_length:.3f}",
        f"false alarms on whole captions that succeed {calibration.false_alarm:.1%}; "
        f"failing queries of one to three words caught {calibration.caught:.1%}",
        "predicted chance -> share that succeeded: "
        + "  ".join(f"{predicted:.2f} -> {found:.2f}" for predicted, found, _ in calibration.reliability),
        f"hubs: {len(calibration.hubs):,} captions are among the nearest of far more captions than others are",
    ]
    return "\n".join(lines)
