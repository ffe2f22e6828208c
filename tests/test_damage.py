"""Bits that flip on the disk: a deep check finds them in each computed file, and what is made again is as before."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Files, ask_caption, demo_texts, make_files

from core.explorer import Explorer
from core.store.cache import Cache
from core.store.progress import finish


@pytest.fixture(scope="module")
def opened_before(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Files whose vectors were converted, captions encoded and indexed; without the databases."""
    files = make_files(tmp_path_factory.mktemp("damage"), demo_texts(300))
    list_of(files)
    for name in ("registry", "answers"):
        shutil.rmtree(files.cache / name, ignore_errors=True)
    return files


def list_of(files: Files) -> list[tuple[list[int], list[float]]]:
    """The first hits of one caption by all methods."""
    explorer: Explorer = files.explorer(need="methods")
    finish(explorer.opened.open_methods())
    found = [ask_caption(explorer, 7, method=method).hits for method in ("infersent", "words", "bm25", "fused")]
    explorer.opened.cache.close()
    return [(hits.rows.tolist(), np.round(hits.distances, 9).tolist()) for hits in found]


def computed(cache: Path) -> list[str]:
    return sorted(path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file())


def test_a_flipped_bit_in_any_computed_file_is_found_and_mended(opened_before: Files, tmp_path: Path) -> None:
    before, rng, found = list_of(opened_before), random.Random(5), 0
    for name in ("registry", "answers"):
        shutil.rmtree(opened_before.cache / name, ignore_errors=True)
    names = [name for name in computed(opened_before.cache) if not name.endswith((".lock", "/whole.json"))]
    assert len(names) >= 12
    for name in names:
        files = Files(
            opened_before.folder,
            *(getattr(opened_before, each) for each in ("weights", "vectors", "captions")),
            tmp_path / name,
        )
        shutil.copytree(opened_before.cache, files.cache)
        content = bytearray((files.cache / name).read_bytes())
        place = rng.randrange(len(content))
        content[place] ^= 1 << rng.randrange(8)
        (files.cache / name).write_bytes(content)
        problems = finish(Cache(files.cache).check())
        assert len(problems) == 1, name
        assert Path(name).name in problems[0]
        assert list_of(files) == before, f"{name}, byte {place}"
        assert finish(Cache(files.cache).check()) == []
        shutil.rmtree(files.cache)
        found += 1
    assert found == len(names)
