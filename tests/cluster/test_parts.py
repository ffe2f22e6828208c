"""Parquet files as parts, and what a worker does with a part on a machine that is otherwise."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import Files, write_vectors, write_weights
from pyarrow import parquet

from core.assets import AssetError
from core.cluster.columns import Columns
from core.cluster.connection import Connection
from core.cluster.parts import find_parts, name_of
from core.cluster.schema import CAPTIONS, UNCOUNTED, About
from core.cluster.workers import Encode, Job, Report, read, versions
from core.corpus.captions import Captions
from core.corpus.table import ReadOptions
from core.encoding.weights import read_weights
from core.opening import locate_encoder
from core.store.cache import Cache
from core.store.progress import finish

COLUMNS = {"caption": ["A dog runs.", "Two cats sit.", "A man eats."], "image_id": [1, 1, 2]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parquet").mkdir()
    return tmp_path / "parquet"


def write(folder: Path, name: str = "a.parquet", rows: int | None = None, **columns: object) -> Path:
    table = pa.table(columns or COLUMNS)
    parquet.write_table(table, folder / name, row_group_size=rows)
    return folder / name


def test_parts_are_the_same_runs_of_rows_every_time_whatever_the_row_groups(folder, monkeypatch):
    monkeypatch.setattr("core.cluster.parts._LEAST_ROWS", 4)
    texts = [f"caption number {i}" for i in range(23)]
    write(folder, "b.parquet", 3, caption=texts[10:])
    write(folder, "a.parquet", 100, caption=texts[:10])
    parts = find_parts(str(folder))
    assert [(part.number, part.first, part.rows) for part in parts.parts] == [
        (0, 0, 4),
        (1, 4, 4),
        (2, 8, 2),
        (3, 10, 4),
        (4, 14, 4),
        (5, 18, 4),
        (6, 22, 1),
    ]
    assert [text for part in parts.parts for text in part.read(["caption"])["caption"].to_pylist()] == texts
    assert find_parts(f"{folder}/*.parquet") == parts
    assert find_parts(f"{folder}/?.parquet").digest == parts.digest
    assert find_parts(str(folder / "a.parquet")).rows == 10


def test_files_are_named_by_whole_paths_however_they_are_typed(folder, monkeypatch):
    write(folder)
    whole = find_parts(str(folder))
    for pattern, place in ((".", folder), ("*.parquet", folder), ("parquet/", folder.parent)):
        monkeypatch.chdir(place)
        assert find_parts(pattern) == whole
        assert name_of(pattern) == "parquet"
    monkeypatch.chdir(folder)
    assert find_parts("a.parquet") == whole
    assert name_of("a.parquet") == "a"
    assert name_of("s3://bucket/captions/*.parquet") == "captions"
    assert name_of("s3://bucket/") == "bucket"


def test_columns_are_chosen_by_the_first_part_that_can_be_read(folder):
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe"))
    write(folder, caption=broken)
    write(folder, "b.parquet", caption=TEXTS)
    assert choose(folder).first == TEXTS[0]


def test_files_with_other_content_are_another_corpus(folder):
    write(folder)
    before = find_parts(str(folder)).digest
    write(folder, caption=["A dog runs.", "Two cats sit.", "A man drinks."], image_id=[1, 1, 2])
    assert find_parts(str(folder)).digest != before


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("nothing", "names no file"),
        ("parquet/b*.parquet", "names no file"),
        ("par*/a.parquet", "a pattern in the name of a folder"),
        ("parquet/text.parquet", "cannot be read as parquet"),
        ("parquet/empty.parquet", "holds no rows"),
        ("parquet/numbers.parquet", "no column"),
        ("parquet/*", "has other columns than"),
    ],
)
def test_a_pattern_that_names_no_captions_is_told(folder, pattern, found):
    write(folder)
    write(folder, "empty.parquet", caption=pa.array([], pa.string()))
    write(folder, "numbers.parquet", pictures=pa.array([b"1", b"2"]))
    if "*" not in pattern or pattern.startswith("par*"):
        (folder / "text.parquet").write_text("a dog")
    with pytest.raises(AssetError) as error:
        find_parts(str(folder.parent / pattern))
    assert found in error.value.found
    assert error.value.advice


def choose(folder: Path, **options: object) -> Columns:
    return Columns.choose(find_parts(str(folder)), ReadOptions(**options), 32)


def test_rows_with_several_captions_are_refused(folder):
    write(folder, captions=[["A dog runs.", "A dog."], ["Two cats sit."], ["A man eats."]])
    with pytest.raises(AssetError, match="a caption a row"):
        choose(folder)


def test_columns_are_chosen_as_in_one_file_or_as_the_options_say(folder):
    texts = [f"A dog runs {i} times." for i in range(6)]
    write(
        folder, text=texts, note=[f"Nothing to see in {i}." for i in range(6)], file_name=[f"{i}.jpg" for i in range(6)]
    )
    columns = choose(folder)
    assert (columns.text, columns.group) == ("text", "file_name")
    assert choose(folder, text_columns=("note",)).text == "note"
    captions, kept = columns.take(find_parts(str(folder)).parts[0].read(list(columns.names)), 50)
    assert list(captions.texts) == texts
    assert captions.ids.tolist() == [51, 52, 53, 54, 55, 56]
    assert captions.group(2) == "2.jpg"
    assert kept["column_0"].to_pylist()[1] == "Nothing to see in 1."


def test_a_text_that_looks_like_a_list_is_one_caption(folder):
    write(folder, caption=["A dog runs.", '["A dog.", "A cat."]', "Two cats sit.", None, "A man eats."])
    columns = choose(folder)
    captions, _ = columns.take(find_parts(str(folder)).parts[0].read(list(columns.names)), 0)
    assert list(captions.texts) == ["A dog runs.", '["A dog.", "A cat."]', "Two cats sit.", "", "A man eats."]


def test_columns_of_every_plain_type_are_kept(folder):
    texts, numbers = [f"A dog runs {i} times." for i in range(3)], [1, None, 3]
    write(
        folder,
        caption=texts,
        kind=pa.array(["x", "y", "x"]).dictionary_encode(),
        big=pa.array(["a", "b", None], pa.large_string()),
        number=numbers,
        when=pa.array([1, 2, 3], pa.timestamp("ms")),
        tags=[["a"], [], ["b", "c"]],
        long=pa.array([["a"], [], ["b", "c"]], pa.large_list(pa.large_string())),
        pair=pa.array([["a", "b"], None, ["b", "c"]], pa.list_(pa.string(), 2)),
        view=pa.array(["a", "b", None], pa.string_view()),
        picture=[b"1", b"2", b"3"],
    )
    columns = choose(folder)
    assert columns.kept == ("kind", "big", "number", "when", "tags", "long", "pair", "view")
    _, kept = columns.take(find_parts(str(folder)).parts[0].read(list(columns.names)), 0)
    assert kept["column_0"].to_pylist() == ["x", "y", "x"]
    assert [kept[f"column_{i}"].type for i in (0, 1, 7)] == [pa.string()] * 3
    assert [kept[f"column_{i}"].type for i in (4, 5, 6)] == [pa.list_(pa.string())] * 3
    assert kept["column_6"].to_pylist() == [["a", "b"], None, ["b", "c"]]
    assert kept["column_2"].to_pylist() == numbers


def test_the_roles_of_columns_are_part_of_what_a_store_is(folder):
    write(folder, caption=COLUMNS["caption"], id=[7, 8, 9], number=[4, 5, 6])
    assert choose(folder).told != choose(folder, id_column="number").told


TEXTS = [f"A dog runs {i} times." for i in range(6)]


@pytest.mark.parametrize(
    "others",
    [
        {"id": [7, 8, None, 9, 10, 11]},
        {"id": [1.0, 2.0, 3.0, 4.0, 5.0, 6.5], "image_id": [1, 1, None, 2, 2, 3]},
        {"id": pa.array([2**63 + i for i in range(6)], pa.uint64())},
        {"image": [f"{i // 2}.jpg#{i % 2}" for i in range(6)]},
        {"image": [f"{i // 2}.jpg" for i in range(6)], "uid": [f"u{i}" for i in range(6)]},
        {"image": [{"bytes": b"1", "path": f"{i}.jpg"} for i in range(6)], "meta.x": list("abcabc")},
        {"image_id": pa.array(["x", "x", "y", "y", None, "z"]).dictionary_encode()},
        {"tags": pa.array([["a"], [], None, ["b"], [], []], pa.large_list(pa.string())), "price": [1.5] * 6},
        {"pair": pa.array([[1, 2]] * 6, pa.list_(pa.int64(), 2)), "raw": pa.array([b"1"] * 6, pa.binary_view())},
    ],
)
def test_ids_images_and_columns_are_those_of_the_file_read_on_one_machine(folder, others):
    path = write(folder, **{"caption.en": TEXTS, **others})
    known, columns = Captions.read(path), choose(folder)
    captions, kept = columns.take(find_parts(str(folder)).parts[0].read(list(columns.names)), 0)
    assert list(captions.texts) == list(known.texts)
    assert captions.ids.tolist() == known.ids.tolist()
    assert [captions.group(row) for row in range(6)] == [known.group(row) for row in range(6)]
    assert columns.shown == tuple(known.columns)
    for name, values in zip(columns.shown, kept.values(), strict=True):
        expected = known.columns[name]
        expected = ["" if value is None else value for value in pa.array(expected).to_pylist()]
        assert ["" if value is None else value for value in values.to_pylist()] == expected


def test_how_images_are_named_is_decided_once_for_all_parts(folder, monkeypatch):
    monkeypatch.setattr("core.cluster.parts._LEAST_ROWS", 3)
    write(folder, caption=TEXTS, image=["a.jpg", "b.jpg", "c.jpg", "a.jpg#0", "a.jpg#1", "b.jpg#0"])
    columns, parts = choose(folder), find_parts(str(folder)).parts
    ids = [columns.take(part.read(list(columns.names)), part.first)[0].ids.tolist() for part in parts]
    assert ids == [[1, 2, 3], [4, 5, 6]]


@pytest.fixture
def job(files: Files, folder: Path, tmp_path: Path) -> Job:
    """What the workers of a small corpus have in common; its store has no captions yet."""
    write(folder)
    parts = find_parts(str(folder))
    columns = Columns.choose(parts, ReadOptions(), read_weights(files.weights).dim)
    recipe, _, _ = finish(locate_encoder(files.setup(), Cache(files.cache)))
    about = About(recipe, "a", "b", 3, 32, UNCOUNTED, "", (), columns.kept, "", "")
    Connection(str(tmp_path / "store"), must_exist=False).begin(about, columns.kinds, again=True)
    return Job(files.setup(), files.cache, str(tmp_path / "store"), recipe, versions(), columns, 3)


def work(job: Job, folder: Path) -> Report:
    """What becomes of the first part."""
    (part, *_) = find_parts(str(folder)).parts
    return Report.of_json(Encode(job)(read({"part": json.dumps(asdict(part))}, job))["report"])


def test_a_part_is_written_once(job, folder):
    assert (work(job, folder).written, work(job, folder).written) == (3, 3)
    assert Connection(job.store).open(CAPTIONS).count_rows() == 3


def test_a_worker_without_the_weights_or_with_others_is_told(job, folder, files):
    write_weights(files.weights, seed=1)
    assert "is another file than on the machine that began this" in work(job, folder).error[1]
    files.weights.unlink()
    path, found, _, advice = work(job, folder).error
    assert (str(files.weights) in path, found) == (True, "no such file")
    assert "at the same path on each machine" in advice


def test_a_worker_with_other_vectors_is_told(job, folder, files):
    write_vectors(files.vectors, ["<p>", "</p>", "dog"], seed=3)
    path, found, *_ = work(job, folder).error
    assert str(files.vectors) in path
    assert "is another file" in found


def test_a_worker_with_another_torch_is_told(job, folder):
    _, found, expected, advice = work(replace(job, versions="infersent-tui 9, torch 1.0"), folder).error
    assert "torch 1.0" in expected
    assert "torch 2" in found
    assert "same versions" in advice


def test_a_worker_that_does_not_see_the_store_is_told(job, folder, tmp_path):
    path, found, _, advice = work(replace(job, store=str(tmp_path / "elsewhere")), folder).error
    assert (str(tmp_path / "elsewhere") in path, found) == (True, "no such folder")
    assert "on a file system that all machines see" in advice


def test_a_device_that_fails_at_all_captions_of_a_part_ends_the_process_and_no_caption(job, folder, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("an illegal memory access")

    class EndedError(Exception):
        pass

    def end(status: int) -> None:
        raise EndedError

    monkeypatch.setattr("core.cluster.workers._embed", fail)
    monkeypatch.setattr("os._exit", end)
    with pytest.raises(EndedError):
        work(job, folder)


def test_a_text_that_is_no_utf8_in_another_column_leaves_out_its_caption(job, folder, tmp_path):
    notes = pa.StringArray.from_buffers(
        3, pa.py_buffer(np.array([0, 1, 3, 4], np.int32)), pa.py_buffer(b"a" + b"\xff\xfe" + b"b")
    )
    write(folder, **COLUMNS, note=notes)
    report = work(replace(job, columns=choose(folder), store=begun(choose(folder), job, tmp_path)), folder)
    assert report.written == 2
    assert "row 1 of" in report.failed[0]


def begun(columns: Columns, job: Job, folder: Path) -> str:
    """The address of a store with these columns, which has no captions yet."""
    store = str(folder / "other")
    about = About(job.recipe, "a", "b", 3, 32, UNCOUNTED, "", (), columns.kept, "", "")
    Connection(store, must_exist=False).begin(about, columns.kinds, again=True)
    return store
