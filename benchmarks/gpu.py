"""Whether the explorer computes on a GPU what it should, and how fast: checks first, then figures, a short table last.

Without network a GPU machine may lack packages: `make offline-wheels` gathers them elsewhere. With `device="cpu"`
everything runs on the processor, which shows that it will run on a GPU, not how fast.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import gpu_checks, gpu_figures
from benchmarks.gpu_setting import Setting
from benchmarks.material import folder
from benchmarks.measure import machine, peak_process_mb, plain
from core.encoding.encoder import choose_device


def run(*, quick: bool = False, device: str = "cuda", out: Path | None = None) -> dict[str, Any]:
    """Check and measure.

    Args:
        quick: Small weights and few captions: to see that everything runs.
        device: `cuda`, `cuda:N`, `cpu`, or `auto`.
        out: A folder for `gpu.json`, which is written again after each check and figure.

    Returns:
        `checks`, by name `ok` (None: not possible on this device) and `value`; `figures`.

    Raises:
        AssetError: The device is not there.
    """
    device = choose_device(device)
    start = time.perf_counter()
    question = "does the explorer compute on this device what it should, and how fast"
    document: dict[str, Any] = {"question": question, "checks": {}, "figures": {}}

    def say(name: str) -> None:
        print(f"{time.perf_counter() - start:6.1f} s  {name}", file=sys.stderr, flush=True)

    def save() -> None:
        document["figures"].pop("run", None)  # it comes last
        document["figures"]["run"] = {
            "card": None if device == "cpu" else torch.cuda.get_device_name(device),
            "cuda": torch.version.cuda,
            "quick": quick,
            "seconds": time.perf_counter() - start,
            "peak_process_mb": peak_process_mb(),
        }
        if out is not None:
            (out / "gpu.json").write_text(json.dumps(plain(document) | {"machine": machine()}, indent=1), "utf-8")

    def report(kind: str, name: str, result: dict[str, Any] | None) -> None:
        if result is None:
            say(name)
            return
        document[kind][name] = result
        save()

    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        save()  # an unwritable folder is told now
    with folder() as place:
        say("writing weights and vectors")
        setting = Setting.write(device, quick=quick, folder=Path(place))
        gpu_checks.run(setting, report=partial(report, "checks"))
        gpu_figures.run(setting, report=partial(report, "figures"))
    return document


def failed(document: dict[str, Any]) -> list[str]:
    """Name the checks that failed and the figures that could not be taken."""
    return [name for name, check in document["checks"].items() if check["ok"] is False] + [
        name for name, figure in document["figures"].items() if "error" in figure
    ]


def table(document: dict[str, Any]) -> str:
    """Say in short what the document holds: a line a check, a line a figure."""
    words = {True: "ok", False: "FAILED", None: "skipped"}
    lines = [f"{words[check['ok']]:8}{name}: {_flat(check['value'])}" for name, check in document["checks"].items()]
    for name, figure in document["figures"].items():
        lines += [f"{name}.{key}: {_flat(value)}" for key, value in figure.items()]
    names = failed(document)
    return "\n".join([*lines, f"failed: {', '.join(names)}" if names else "nothing failed"])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(item)}" for key, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
