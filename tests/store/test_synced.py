"""A power cut is more than a kill: what gets its name is on disk before, and the name is on disk after."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Files
from web_server import Give, serving

SCRIPT = """
import sys
from pathlib import Path
from core.assets import Assets
from core.opening import open_
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish
from core.fetching import fetch
from tui.exports import open_rows
from tui.trail import TrailWriter
*paths, mirror, checksum = sys.argv[1:]
weights, vectors, captions, cache = map(Path, paths)
opened = finish(open_(Setup(assets=Assets(weights, vectors, captions, 2)), Cache(cache), need="methods"))
finish(opened.calibrate())
finish(fetch("coco", cache.parent / "fetched" / "official", mirror=mirror, sha256=checksum))
with open_rows(cache.parent / "hits.csv", ["rank"]) as write:
    write([{"rank": 1}])
trail = TrailWriter(cache.parent / "kept" / "trails")
for number in range(2):
    trail.write({"visit": number, "from": None, "how": "typed", "text": "a dog", "row": None})
"""

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")


def test_files_are_synced_before_they_are_named_and_their_folders_after(
    files: Files, tmp_path: Path, published: dict[str, bytes]
) -> None:
    trace, archive = tmp_path / "trace", published["annotations_trainval2014.zip"]
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat"
    command = ["strace", "-f", "-y", "-s", "500", "-o", trace, "-e", calls, sys.executable, "-c", SCRIPT]
    with serving(Give(archive)) as server:
        given = (files.weights, files.vectors, files.captions, files.cache, server.url)
        checksum = hashlib.sha256(archive).hexdigest()
        subprocess.run([*command, *given, checksum], check=True, capture_output=True, cwd=Path(__file__).parents[2])

    synced: set[str] = set()
    unnamed: set[str] = set()  # folders that hold a new name which is not on disk yet
    named = []
    for line in trace.read_text().splitlines():
        if sync := re.search(r"f(?:data)?sync\(\d+<([^>]*)>", line):
            synced.add(sync[1])
            unnamed.discard(sync[1])
        elif rename := re.search(r'rename\w*\((?:AT_FDCWD[^,]*, )?"([^"]*)", (?:AT_FDCWD[^,]*, )?"([^"]*)"', line):
            old, new = rename[1], rename[2]
            if not new.startswith(str(tmp_path)):
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
        elif made := re.search(r'mkdir\w*\((?:AT_FDCWD[^,]*, )?"([^"]*)".* = 0', line):
            new = made[1]
            if new.startswith(str(tmp_path)) and not new.endswith(".part"):
                unnamed.add(str(Path(new).parent))
    assert {"whole.json", "recipe.json", "progress.json"} <= set(named)
    assert {"captions_val2014.json", "captions_val2014.json.archive", "SHA256SUMS", "hits.csv"} <= set(named)
    trails = [name for name in named if name.endswith(".jsonl")]
    assert len(trails) == 1
    folders = sum(name.endswith("words") or "-" in name for name in named if name not in trails)
    assert folders == 2, "the folders of vectors and of words"
    assert not unnamed, "the last names are on disk"
