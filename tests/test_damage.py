"""Bits that flip on the disk: a deep check finds them in each computed file, and what is made again is as before."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Files, ask_caption, demo_texts, make_files

from core import mapping as module
from core.assets import AssetError
from core.explorer import Explorer
from core.store.cache import Cache
from core.store.locks import only_one
from core.store.progress import finish
from core.store.whole import Origin, is_whole, seal, unseal


@pytest.fixture(scope="module")
def opened_before(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Files whose vectors were converted, captions encoded and indexed; without the databases."""
    files = make_files(tmp_path_factory.mktemp("damage"), demo_texts(300))
    list_of(files)
    for name in ("registry", "answers"):
        shutil.rmtree(files.cache / name, ignore_errors=True)
    return files


def list_of(files: Files) -> list[tuple[list[int], list[Any]]]:
    """The first hits of one caption by all methods, the places of all captions on their plane, and their regions."""
    explorer: Explorer = files.explorer(need="methods")
    finish(explorer.opened.open_methods())
    found = [ask_caption(explorer, 7, method=method).hits for method in ("infersent", "words", "bm25", "fused")]
    points = finish(explorer.mapper.principal()).points  # (N, 2)
    regions = finish(explorer.mapper.regions())
    explorer.opened.cache.close()
    lists = [(hits.rows.tolist(), np.round(hits.distances, 9).tolist()) for hits in found]
    named = [f"{region.number} {region.name} {region.captions} {region.central}" for region in regions.regions]
    places = (list(range(len(points))), np.round(points, 5).ravel().tolist())
    return [*lists, places, (regions.of.tolist(), named)]


def computed(cache: Path) -> list[str]:
    return sorted(path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file())


def test_a_flipped_bit_in_any_computed_file_is_found_and_mended(opened_before: Files, tmp_path: Path) -> None:
    before, rng, found = list_of(opened_before), random.Random(5), 0
    for name in ("registry", "answers"):
        shutil.rmtree(opened_before.cache / name, ignore_errors=True)
    names = [name for name in computed(opened_before.cache) if not name.endswith((".lock", "/whole.json"))]
    assert len(names) >= 15
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


@pytest.mark.parametrize("bit", [0x80, 0x40])
@pytest.mark.parametrize("name", ["ids.npy", "starts.npy"])
def test_token_ids_that_are_none_say_how_they_are_made_again(
    tmp_path: Path, name: str, bit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.store.whole._CHECKED_BYTES", 128)  # as if the bit were far from the file's beginning
    files = make_files(tmp_path, demo_texts(300))
    before = list_of(files)
    (path,) = files.cache.glob(f"matrix/*/{name}")
    content = bytearray(path.read_bytes())
    content[-41] ^= bit  # the highest bits of a number
    path.write_bytes(content)
    with pytest.raises(AssetError, match="token ids are damaged") as caught:
        files.explorer()
    assert caught.value.advice.endswith("infersent-tui doctor --deep")
    assert len(finish(Cache(files.cache).check())) == 1
    assert list_of(files) == before


@pytest.mark.opened
@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("regions/of.npy", b"\xff\xff"),  # a region below 0
        ("regions/of.npy", b"\x00\x07"),  # one that there is not
        ("regions/regions.json", b"}  "),
        ("regions/regions.json", b": 999}]"),  # a caption that there is not, or no JSON
        ("plane/points.npy", b"\x00\x00\xc0\x7f"),  # no number
        ("plane/shares.npy", b""),
    ],
)
def test_a_map_that_is_damaged_where_no_start_looks_is_made_again(
    files: Files, name: str, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.store.whole._CHECKED_BYTES", 64)
    before = list_of(files)
    (path,) = files.cache.glob(f"matrix/*/{name}")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - len(end)] + end)
    assert list_of(files) == before
    assert list_of(files) == before


@pytest.mark.opened
@pytest.mark.parametrize(
    "change",
    [
        {"number": 99},
        {"words": 5},
        {"captions": "x"},
        {"central": 1.0},
        {"central": -1},
        {"central": 10**9},
        {"other": 1},
    ],
)
def test_regions_that_somebody_else_wrote_are_made_again(files: Files, change: dict[str, Any]) -> None:
    before = finish(files.explorer().mapper.regions()).regions
    (path,) = files.cache.glob("matrix/*/regions/regions.json")
    about = json.loads(path.read_bytes())
    about["regions"][0] |= change
    path.write_text(json.dumps(about))
    origin = Origin(path.parents[1].name, module._FORMAT, "regions")
    unseal(path.parent)
    seal(path.parent, origin)
    assert is_whole(path.parent, origin)
    explorer = files.explorer()
    assert explorer.mapper.known_regions() is None
    assert finish(explorer.mapper.regions()).regions == before
    assert explorer.mapper.known_regions() is not None


@pytest.mark.opened
def test_a_map_that_cannot_be_read_is_made_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    before = finish(files.explorer().mapper.principal()).points

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("core.mapping._read_map", fail)
    np.testing.assert_allclose(finish(files.explorer().mapper.principal()).points, before, atol=1e-6)


def test_no_lock_is_held_while_the_search_for_regions_is_left(files: Files) -> None:
    explorer = files.explorer()
    for stop in ("indexing words", "looking for components", "looking for regions"):
        steps = explorer.mapper.regions()
        assert next(step for step in steps if step.stage == stop)
        steps.close()
        with only_one(explorer.opened.matrix.folder, doing="tests") as waiting:
            assert not list(waiting), "nobody holds it"


@pytest.mark.opened
def test_regions_that_cannot_be_read_are_not_known(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(files.explorer().mapper.regions())

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("core.mapping._read_regions", fail)
    assert files.explorer().mapper.known_regions() is None


@pytest.mark.opened
def test_a_flipped_bit_in_a_file_of_measurements_is_found_until_they_are_made_again(
    files: Files, few_sources: None
) -> None:
    finish(files.explorer().stress("a dog on a beach"))
    measured = [*files.cache.glob("matrix/*/calibration-*.json"), *files.cache.glob("matrix/*/variations.json")]
    assert len(measured) == 2
    rng = random.Random(5)
    for path in measured:
        before = path.read_bytes()
        for _ in range(20):
            place = rng.randrange(1, len(before) - 1)
            path.write_bytes(before[:place] + bytes([before[place] ^ 1 << rng.randrange(8)]) + before[place + 1 :])
            if path.read_bytes().split() == before.split():  # a blank became a line end
                continue
            (problem,) = finish(Cache(files.cache).check())
            assert f"{path.name} damaged; it is measured again" in problem, place
        explorer = files.explorer()
        finish(explorer.opened.calibrate())
        finish(explorer.stress("a dog on a beach"))
        assert path.read_bytes() == before
    assert finish(Cache(files.cache).check()) == []


@pytest.mark.opened
@pytest.mark.parametrize("name", ["registry", "answers"])
def test_a_damaged_database_is_found_and_names_the_folder_to_delete(files: Files, name: str) -> None:
    explorer = files.explorer()
    explorer.queries.of_text("a dog on a beach")
    explorer.queries.remember()
    explorer.opened.cache.close()
    path = files.cache / name / "cache.db"
    assert finish(Cache(files.cache).check()) == []
    content = path.read_bytes()
    for damage in (b"no database" * 1000, content[:100] + bytes(4000) + content[4100:], content[: len(content) // 2]):
        path.write_bytes(damage)
        (problem,) = finish(Cache(files.cache).check())
        assert f"{name}/cache.db damaged; delete {path.parent}" in problem
    shutil.rmtree(path.parent)
    assert finish(Cache(files.cache).check()) == []
