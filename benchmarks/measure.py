"""Time tasks interleaved, and measure the machine's limits."""

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
    """Seconds that a task took over several rounds."""

    median: float
    fastest: float
    slowest: float
    rounds: int

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        """Summarize the seconds of all rounds."""
        return cls(statistics.median(seconds), min(seconds), max(seconds), len(seconds))

    def rate(self, work: float) -> float:
        """Compute the work done per second from the median time."""
        return work / self.median


def interleave(
    tasks: dict[str, Callable[[], object]], *, rounds: int = 3, warm_up: bool = True, seconds: float = math.inf
) -> dict[str, Timing]:
    """Run the tasks in turn, each once per round, so that other load on the machine affects all of them alike.

    Args:
        tasks: Functions to time, by name.
        rounds: Largest number of timed rounds.
        warm_up: Whether an untimed round comes first.
        seconds: No further round begins after this time; at least one is timed.
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
    """Measure the FLOP/s of the LSTM's matrix product alone, (rows, H) by (H, 4H): the upper limit of encoding."""
    states = torch.randn(rows, hidden, device=device).to(dtype)  # (rows, H)
    weights = torch.randn(hidden, 4 * hidden, device=device).to(dtype)  # (H, 4H)
    out = torch.empty(rows, 4 * hidden, dtype=dtype, device=device)
    repeats = 1 if device == "cpu" else 50  # so that the time of kernel launches is negligible

    def multiply() -> None:
        for _ in range(repeats):
            torch.mm(states, weights, out=out)
        _wait(device)

    timing = interleave({"product": multiply}, rounds=9)["product"]
    return repeats * 2 * rows * hidden * 4 * hidden / timing.median


def copy_rate(device: str, *, quick: bool = False) -> dict[str, float]:
    """Measure the bytes/s of copies within a device (bytes read plus written), to it and from it (pageable memory)."""
    host = torch.randn(1 << (22 if quick else 28))  # 16 MiB or 1 GiB
    source, target = host.to(device), torch.empty_like(host, device=device)

    def within() -> None:
        target.copy_(source)
        _wait(device)

    tasks: dict[str, Callable[[], object]] = {"within": within}
    if device != "cpu":
        tasks |= {"to_device": lambda: source.copy_(host), "from_device": lambda: host.copy_(source)}
    timings = interleave(tasks, rounds=5)
    return {name: (2 if name == "within" else 1) * host.nbytes / timing.median for name, timing in timings.items()}


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def peak_process_mb() -> float:
    """Read this process's peak memory in MB; not from getrusage, which includes the parent's memory at the fork."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def machine() -> dict[str, Any]:
    """Describe the processor, threads and library versions of this run."""
    name = platform.processor() or platform.machine()
    for line in (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else ()
    ):
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return {
        "processor": name,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def plain(value: Any) -> Any:
    """Convert a result to values that JSON can hold, timings to dicts; floats keep six significant digits."""
    if isinstance(value, Timing):
        return {name: plain(number) for name, number in asdict(value).items()}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
