"""A power cut is more than a kill: what gets its name is on disk before, and the name is on disk after."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Files

SCRIPT = """
import sys
from pathlib import Path
from core.assets import Assets
from core.opening import open_
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish
from tui.trail import TrailWriter
weights, vectors, captions, cache = map(Path, sys.argv[1:])
opened = finish(open_(Setup(assets=Assets(weights, vectors, captions, 2)), Cache(cache), need="methods"))
finish(opened.calibrate())
trail = TrailWriter(cache / "trails")
for number in range(2):
    trail.write({"visit": number, "from": None, "how": "typed", "text": "a dog", "row": None})
"""

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")


def test_files_are_synced_before_they_are_named_and_their_folders_after(files: Files, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
    command = ["strace", "-f", "-y", "-s", "500", "-o", trace, "-e", calls, sys.executable, "-c", SCRIPT]
    paths = (files.weights, files.vectors, files.captions, files.cache)
    subprocess.run([*command, *paths], check=True, capture_output=True, cwd=Path(__file__).parents[2])

    synced: set[str] = set()
    unnamed: set[str] = set()  # folders that hold a new name which is not on disk yet
    named = []
    for line in trace.read_text().splitlines():
        if sync := re.search(r"f(?:data)?sync\(\d+<([^>]*)>", line):
            synced.add(sync[1])
            unnamed.discard(sync[1])
        elif rename := re.search(r'rename\w*\((?:AT_FDCWD[^,]*, )?"([^"]*)", (?:AT_FDCWD[^,]*, )?"([^"]*)"', line):
            old, new = rename[1], rename[2]
            if not new.startswith(str(files.cache)):
                continue
            named.append(Path(new).name)
            if Path(new).is_dir():
                for path in filter(Path.is_file, Path(new).rglob("*")):
                    assert f"{old}{str(path).removeprefix(new)}" in synced, (
                        f"{path} was not on disk when it got its name"
                    )
            else:
                assert old in synced, f"{old} was not on disk when it became {new}"
            synced |= {new + path.removeprefix(old) for path in synced if path.startswith(old)}
            unnamed.add(str(Path(new).parent))
    assert {"whole.json", "recipe.json", "progress.json"} <= set(named)
    trails = [name for name in named if name.endswith(".jsonl")]
    assert len(trails) == 1
    folders = sum(name.endswith("words") or "-" in name for name in named if name not in trails)
    assert folders == 2, "the folders of vectors and of words"
    assert not unnamed, "the last names are on disk"
