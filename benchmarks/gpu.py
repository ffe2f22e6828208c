"""Whether the explorer computes on a GPU what it should, and how fast: checks first, then figures, a short table last.

Without network a GPU machine may lack packages: `make offline-wheels` gathers them elsewhere. With `device="cpu"`
everything runs on the processor, which shows that it will run on a GPU, not how fast.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import gpu_checks, gpu_figures
from benchmarks.gpu_setting import Setting
from benchmarks.material import folder
from core.encoder import choose_device


def run(*, quick: bool = False, device: str = "cuda") -> dict[str, Any]:
    """Check and measure.

    Args:
        quick: Small weights and few captions: to see that everything runs.
        device: `cuda`, `cuda:N` or `cpu`.

    Returns:
        `checks`, by name `ok` (None: not possible on this device) and `value`; `figures`.

    Raises:
        AssetError: The device is not there.
    """
    choose_device(device)
    start = time.perf_counter()

    def tell(name: str) -> None:
        print(f"{time.perf_counter() - start:6.1f} s  {name}", file=sys.stderr, flush=True)

    with folder() as place:
        tell("writing weights and vectors")
        setting = Setting(device, quick, Path(place))
        checks = gpu_checks.run(setting, tell=tell)
        figures = gpu_figures.run(setting, tell=tell)
    figures["run"] = {
        "card": None if device == "cpu" else torch.cuda.get_device_name(device),
        "cuda": torch.version.cuda,
        "quick": quick,
        "seconds": time.perf_counter() - start,
        "peak_process_mb": gpu_figures.process_mb(),
    }
    return {
        "question": "is the explorer right on this device, and how fast",
        "checks": {name: {"ok": check.ok, "value": check.value} for name, check in checks.items()},
        "figures": figures,
    }


def table(document: dict[str, Any]) -> str:
    """The document in short: a line a check, a line a figure."""
    words = {True: "ok", False: "FAILED", None: "skipped"}
    lines = [f"{words[check['ok']]:8}{name}: {_flat(check['value'])}" for name, check in document["checks"].items()]
    for name, figure in document["figures"].items():
        lines += [f"{name}.{key}: {_flat(value)}" for key, value in figure.items()]
    failed = [name for name, check in document["checks"].items() if check["ok"] is False]
    return "\n".join([*lines, f"failed: {', '.join(failed)}" if failed else "no check failed"])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(item)}" for key, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
