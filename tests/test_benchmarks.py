"""Run the GPU benchmark on a CPU, so that its errors are found before it runs on a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu
from benchmarks.__main__ import main
from core.trust.foreign import foreign_sentences

CHECKOUT = Path(__file__).parents[1]


def run(*arguments: str, options: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-m", "benchmarks", *arguments]
    environment = os.environ | variables
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_the_gpu_benchmark_completes_on_a_cpu_without_coco_captions(tmp_path, monkeypatch, few_sources, capsys):
    few = foreign_sentences()[::10]
    monkeypatch.setattr("core.trust.foreign.foreign_sentences", lambda: few)
    monkeypatch.setattr("benchmarks.gpu_setting.COCO", tmp_path / "missing.json.gz")
    monkeypatch.setattr("sys.argv", ["", "gpu", "--device", "cpu", "--quick", "--out", str(tmp_path / "new")])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert ended.value.code == 0, out
    document = json.loads((tmp_path / "new" / "gpu.json").read_text(encoding="utf-8"))
    checks = document["checks"]
    skipped = {name for name, check in checks.items() if check["ok"] is None}
    assert skipped == {"named_device", "out_of_memory_answers"}
    assert all(check["ok"] is not False for check in checks.values()), checks
    assert all(check["value"].get("refused", 1) for name, check in checks.items())
    assert not [name for name, figure in document["figures"].items() if "error" in figure]
    *_, last = out.splitlines()
    assert last == "nothing failed"
    assert all(f"{name}: " in out for name in checks)


def test_the_notebook_and_the_explorer_rank_alike():
    done = run("notebook", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    rankings = json.loads(done.stdout)["rankings"]
    assert [(each["ranked"] > 100, each["same_first_ten"]) for each in rankings.values()] == [(True, True)] * 2


def test_a_failed_check_or_figure_is_named_on_the_last_line_after_all_results():
    document = {
        "checks": {"right": {"ok": True, "value": {}}, "wrong": {"ok": False, "value": {"difference": 0.5}}},
        "figures": {"search": {"error": "RuntimeError: no"}, "run": {"seconds": 1.0}},
    }
    assert gpu.failed(document) == ["wrong", "search"]
    assert gpu.table(document).splitlines() == [
        "ok      right: ",
        "FAILED  wrong: difference 0.5",
        "search.error: RuntimeError: no",
        "run.seconds: 1",
        "failed: wrong, search",
    ]


def test_a_device_that_does_not_exist_is_an_error_before_anything_is_measured(tmp_path):
    done = run("gpu", "--device", "cuda:77", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "--device cpu or auto" in done.stderr or "counted from 0" in done.stderr
    assert not list(tmp_path.iterdir())


def test_packages_that_are_not_installed_are_listed_on_one_line():
    done = run("gpu", options=("-S",))  # without site-packages
    assert done.returncode == 1
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "not installed here: textual torch" in done.stderr
    assert "offline-wheels" in done.stderr


def test_other_benchmarks_refuse_the_options_of_gpu():
    done = run("start", "--device", "cpu")
    assert done.returncode == 2
    assert "belong to gpu" in done.stderr
