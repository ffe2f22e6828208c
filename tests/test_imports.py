"""Slow modules are imported only where they are used, and core knows nothing of the screen."""

import json
import subprocess
import sys
from pathlib import Path

SLOW = {"torch", "nltk", "pandas", "scipy", "bm25s", "numpy", "pyarrow", "numba", "llvmlite"}

REPORT = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"


def modules_after(program: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after a program."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{REPORT}"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_values_of_an_answer_need_no_torch_pandas_or_nltk():
    slow = modules_after("import core.answers, core.query, core.ranking.ranking") & SLOW
    assert slow == {"numpy"}


def test_importing_the_screen_imports_nothing_slow():
    assert not modules_after("import tui.app") & SLOW


def test_the_first_frame_is_up_before_anything_slow_is_imported():
    program = """
import asyncio, sys
from core.assets import AssetError
from tui.app import ExplorerApp

at_first_frame = None

def open_corpus():
    global at_first_frame
    at_first_frame = {name.split(".")[0] for name in sys.modules}
    raise AssetError("nothing", "is opened here")

async def show():
    app = ExplorerApp(open_corpus)
    async with app.run_test(size=(80, 24)) as pilot:
        while app.explore.body.current != "error":
            await pilot.pause(0.01)

asyncio.run(show())
assert "textual" in at_first_frame
"""
    assert not modules_after(program) & SLOW


def test_the_command_line_answers_without_the_screen_or_anything_slow():
    assert not modules_after("import tui.cli") & (SLOW | {"textual", "rich"})


def test_a_wrong_path_is_told_before_anything_slow_is_imported():
    program = """
import sys
from tui.cli import main
sys.argv = ["infersent-tui", "search", "a dog", "--captions", "nowhere.json"]
try:
    main()
except SystemExit as leaving:
    assert leaving.code == 2
"""
    assert not modules_after(program) & (SLOW | {"textual"})


def test_searching_does_not_import_the_screen():
    assert not modules_after("import tui.cli, tui.options, tui.doctor, tui.pace, core.explorer") & {"textual", "rich"}


def test_core_never_imports_the_screen_or_the_command_line():
    program = """
import importlib, pkgutil, core
for module in pkgutil.walk_packages(core.__path__, "core."):
    importlib.import_module(module.name)
"""
    assert not modules_after(program) & {"textual", "rich", "click", "tui"}


def test_what_a_cluster_needs_is_imported_only_for_a_store(tmp_path):
    program = f"""
import sys
sys.argv = ["infersent-tui", "search", "a dog", "--cache-dir", {str(tmp_path)!r}]
from tui.cli import main
try:
    main()
except SystemExit:
    pass
assert not [name for name in sys.modules if name.startswith("core.cluster")]
"""
    assert not modules_after(program) & {"lancedb", "lance", "ray"}
