"""Compiled functions work whatever becomes of Numba's files."""

import os
import subprocess
import sys

import pytest

FALLBACKS = """
import torch
from core.encoding.steppers import compiled_steps_work
from core.ranking.scan import load_compiled_scan
print(compiled_steps_work("cpu", torch.float32), load_compiled_scan())
"""
MODULE = """
import numpy as np
from core.encoding.compiling import compiled

@compiled()
def double(numbers):
    for i in range(len(numbers)):
        numbers[i] *= 2
"""
CALL = """
import numpy as np, doubling
numbers = np.arange(3.0)
doubling.double(numbers)
print(numbers.tolist())
"""


@pytest.mark.parametrize("damage", ["none", "*.nbi", "*.nbc", "no folder"])
def test_files_that_cannot_be_used_are_compiled_again(tmp_path, damage):
    (tmp_path / "doubling.py").write_text(MODULE)
    kept = tmp_path / "kept"
    kept.write_text("") if damage == "no folder" else kept.mkdir()
    for _ in range(2):
        for path in [] if "*" not in damage else kept.rglob(damage):
            path.write_bytes(b"")
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{CALL}"],
            capture_output=True,
            check=False,
            text=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(kept)},
        )
        assert done.stdout.strip() == "[0.0, 2.0, 4.0]", done.stderr
    if damage == "none":
        assert list(kept.rglob("*.nbc"))


def test_without_a_compiler_torch_computes():
    """Numba would run every function as plain Python."""
    command = [sys.executable, "-c", FALLBACKS]
    done = subprocess.run(
        command, capture_output=True, check=True, text=True, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}
    )
    assert done.stdout.split()[0] == "False"
    assert done.stdout.split()[1] == "False"
