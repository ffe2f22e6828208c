"""Interleaved timing, and the machine's ceilings."""

from __future__ import annotations

import math
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


def interleave(
    tasks: dict[str, Callable[[], object]], *, rounds: int = 3, warm_up: bool = True, seconds: float = math.inf
) -> dict[str, Timing]:
    """Run every task once a round, in turn, so that whatever else the machine does meets all of them.

    Args:
        tasks: What to time, by name.
        rounds: How often, at most.
        warm_up: Whether a round that is not counted comes first.
        seconds: No further round begins after so long; one is always counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    begin = time.perf_counter()
    for number in range(rounds + warm_up):
        if number > warm_up and time.perf_counter() - begin > seconds:
            break
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if number >= warm_up:
                taken[name].append(time.perf_counter() - start)
    return {name: Timing.of(values) for name, values in taken.items()}


def product_rate(dtype: torch.dtype, *, rows: int = 1024, hidden: int = 2048, device: str = "cpu") -> float:
    """FLOP/s of the LSTM's matrix product, (rows, H) by (H, 4H), alone: the ceiling of encoding."""
    a = torch.randn(rows, hidden, device=device).to(dtype)
    b = torch.randn(hidden, 4 * hidden, device=device).to(dtype)
    out = torch.empty(rows, 4 * hidden, dtype=dtype, device=device)
    times = 1 if device == "cpu" else 50  # so that the time to launch them is negligible

    def multiply() -> None:
        for _ in range(times):
            torch.mm(a, b, out=out)
        _wait(device)

    timing = interleave({"product": multiply}, rounds=9)["product"]
    return times * 2 * rows * hidden * 4 * hidden / timing.median


def copy_rate(device: str, *, quick: bool = False) -> dict[str, float]:
    """Bytes/s of a copy within a device, bytes read and written; and to and from it, pageable as the explorer's are."""
    here = torch.randn(1 << (22 if quick else 28))  # 1 GiB
    there, other = here.to(device), torch.empty_like(here, device=device)

    def within() -> None:
        other.copy_(there)
        _wait(device)

    tasks: dict[str, Callable[[], object]] = {"within": within}
    if device != "cpu":
        tasks |= {"to_device": lambda: there.copy_(here), "from_device": lambda: here.copy_(there)}
    timings = interleave(tasks, rounds=5)
    return {name: (2 if name == "within" else 1) * here.nbytes / timing.median for name, timing in timings.items()}


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def read_rate() -> float:
    """Bytes/s at which memory is read by a sum: the ceiling of search."""
    array = torch.ones(1 << 28, dtype=torch.float32)  # 1 GiB
    return array.nbytes / interleave({"read": array.sum}, rounds=5)["read"].median


def peak_process_mb() -> float:
    """Return the most memory that this process has had; getrusage also counts what its parent had when it began."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


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
        return {name: plain(number) for name, number in asdict(value).items()}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
