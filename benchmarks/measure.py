"""Interleaved timing, and the machine's ceilings."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that something took, over several rounds."""

    median: float
    fastest: float
    slowest: float
    rounds: int

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        """Summarize the rounds."""
        return cls(statistics.median(seconds), min(seconds), max(seconds), len(seconds))

    def rate(self, work: float) -> float:
        """Work per second, by the median."""
        return work / self.median


def interleave(tasks: dict[str, Callable[[], object]], *, rounds: int = 3, warm_up: bool = True) -> dict[str, Timing]:
    """Run every task once a round, in turn, so that whatever else the machine does meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(rounds + warm_up):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return {name: Timing.of(values) for name, values in seconds.items()}


def product_rate(dtype: torch.dtype, *, rows: int = 1024, hidden: int = 2048) -> float:
    """FLOP/s of the LSTM's matrix product, (rows, H) by (H, 4H), alone: the ceiling of encoding."""
    a, b = torch.randn(rows, hidden).to(dtype), torch.randn(hidden, 4 * hidden).to(dtype)
    out = torch.empty(rows, 4 * hidden, dtype=dtype)
    timing = interleave({"product": lambda: torch.mm(a, b, out=out)}, rounds=9)["product"]
    return 2 * rows * hidden * 4 * hidden / timing.median


def read_rate() -> float:
    """Bytes/s at which memory is read by a sum: the ceiling of search."""
    array = torch.ones(1 << 28, dtype=torch.float32)  # 1 GiB
    return array.nbytes / interleave({"read": array.sum}, rounds=5)["read"].median


def machine() -> dict[str, Any]:
    """What this was measured on."""
    name = platform.processor() or platform.machine()
    for line in (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else ()
    ):
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return {
        "processor": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def plain(value: Any) -> Any:
    """Turn timings inside a result into plain values, for JSON."""
    if isinstance(value, Timing):
        return {name: round(number, 6) for name, number in asdict(value).items()}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value
