"""Check that the explorer's results on a GPU are correct, measure how fast they are, and print a short table.

`make offline-wheels` collects the packages for a GPU machine that has no network. With `device="cpu"` everything runs
on the CPU, which tests the benchmark itself before it is run on a GPU.
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
from benchmarks.material import temporary_folder
from benchmarks.measure import machine, peak_process_mb, plain
from core.encoding.weights import choose_device


def run(*, quick: bool = False, device: str = "cuda", out: Path | None = None) -> dict[str, Any]:
    """Run the checks, then take the figures.

    Args:
        quick: Use small weights and few captions, to check that everything runs.
        device: `cuda`, `cuda:N`, `cpu`, or `auto`.
        out: Folder for `gpu.json`, which is rewritten after each check and figure.

    Returns:
        `checks`: for each name, `ok` (None: not possible on this device) and `value`. `figures`: values by name.

    Raises:
        AssetError: The device does not exist.
    """
    device = choose_device(device)
    start = time.perf_counter()
    question = "are the results of the explorer on this device correct, and how fast is it"
    document: dict[str, Any] = {"question": question, "checks": {}, "figures": {}}

    def log(name: str) -> None:
        print(f"{time.perf_counter() - start:6.1f} s  {name}", file=sys.stderr, flush=True)

    def save() -> None:
        document["figures"].pop("run", None)  # so that it stays the last figure
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
            log(name)
            return
        document[kind][name] = result
        save()

    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        save()  # so that an unwritable folder fails before anything is measured
    with temporary_folder() as name:
        log("writing weights and vectors")
        setting = Setting.write(device, quick=quick, folder=Path(name))
        gpu_checks.run(setting, report=partial(report, "checks"))
        gpu_figures.run(setting, report=partial(report, "figures"))
    return document


def failed(document: dict[str, Any]) -> list[str]:
    """List the names of the checks that failed, then of the figures that raised an error."""
    return [name for name, check in document["checks"].items() if check["ok"] is False] + [
        name for name, figure in document["figures"].items() if "error" in figure
    ]


def table(document: dict[str, Any]) -> str:
    """Format the document as text: a line per check, a line per figure, and the names of failures last."""
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
