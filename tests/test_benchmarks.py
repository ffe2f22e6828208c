"""The benchmark that proves a GPU runs to its end, so that no time on one is lost to a typo."""

import json
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


def run(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=600, check=False)


def test_the_gpu_benchmark_runs_to_its_end_on_a_processor(tmp_path):
    done = run("gpu", "--device", "cpu", "--quick", "--out", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "new" / "gpu.json").read_text(encoding="utf-8"))
    checks = document["checks"]
    assert {name for name, check in checks.items() if check["ok"] is None} == {"out_of_memory_search"}
    assert all(check["ok"] is not False for check in checks.values()), checks
    assert checks["out_of_memory_encoding"]["value"]["refused"]
    assert checks["out_of_memory_calibration"]["value"]["refused"]
    assert not [name for name, figure in document["figures"].items() if "error" in figure]
    *_, last = done.stdout.splitlines()
    assert last == "no check failed"
    assert all(f"{name}: " in done.stdout for name in checks)


def test_packages_that_are_not_installed_are_named_in_one_line():
    done = run("gpu", options=("-S",))  # without site-packages
    assert done.returncode == 1
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "not installed here: textual torch" in done.stderr
    assert "offline-wheels" in done.stderr


def test_options_of_the_gpu_benchmark_are_refused_elsewhere():
    done = run("start", "--device", "cpu")
    assert done.returncode == 2
    assert "belong to gpu" in done.stderr
