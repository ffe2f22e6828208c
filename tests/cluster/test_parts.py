"""Parquet files as parts, and what a worker does with a part on a machine that is otherwise."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import Files, write_vectors, write_weights
from pyarrow import parquet

from core.assets import AssetError
from core.cluster.columns import Columns
from core.cluster.connection import Connection
from core.cluster.parts import find_parts
from core.cluster.schema import CAPTIONS, UNCOUNTED, About
from core.cluster.workers import Encode, Job, Report, read
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


def test_files_with_other_content_are_another_corpus(folder):
    write(folder)
    before = find_parts(str(folder)).digest
    write(folder, caption=["A dog runs.", "Two cats sit.", "A man drinks."], image_id=[1, 1, 2])
    assert find_parts(str(folder)).digest != before


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("nothing", "no such file"),
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
    return Columns.choose(find_parts(str(folder)), ReadOptions(**options), 4)


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
    assert (list(columns.roles.texts), columns.roles.group) == (["text"], "file_name")
    assert list(choose(folder, text_columns=("note",)).roles.texts) == ["note"]
    captions, kept = columns.take(find_parts(str(folder)).parts[0].read(list(columns.names)), 50, "a.parquet")
    assert list(captions.texts) == texts
    assert captions.ids.tolist() == [51, 52, 53, 54, 55, 56]
    assert captions.group(2) == "2.jpg"
    assert kept["column_0"].to_pylist()[1] == "Nothing to see in 1."


def test_a_text_that_looks_like_a_list_is_one_caption(folder):
    write(folder, caption=["A dog runs.", '["A dog.", "A cat."]', "Two cats sit.", None, "A man eats."])
    columns = choose(folder)
    captions, _ = columns.take(find_parts(str(folder)).parts[0].read(list(columns.names)), 0, "a.parquet")
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
        picture=[b"1", b"2", b"3"],
    )
    columns = choose(folder)
    assert columns.kept == ("kind", "big", "number", "when", "tags")
    _, kept = columns.take(find_parts(str(folder)).parts[0].read(list(columns.names)), 0, "a.parquet")
    assert kept["column_0"].cast(pa.string()).to_pylist() == ["x", "y", "x"]
    assert kept["column_2"].to_pylist() == numbers


def test_the_roles_of_columns_are_part_of_what_a_store_is(folder):
    write(folder, caption=COLUMNS["caption"], id=[7, 8, 9], number=[4, 5, 6])
    assert choose(folder).roles_told != choose(folder, id_column="number").roles_told


@pytest.fixture
def job(files: Files, folder: Path, tmp_path: Path) -> Job:
    """What the workers of a small corpus have in common; its store has no captions yet."""
    import torch

    write(folder)
    parts = find_parts(str(folder))
    columns = Columns.choose(parts, ReadOptions(), read_weights(files.weights).dim)
    recipe, _, _ = finish(locate_encoder(files.setup(), Cache(files.cache)))
    about = About(recipe, "a", "b", 3, 32, UNCOUNTED, "", (), columns.kept, "", "")
    Connection(str(tmp_path / "store"), must_exist=False).begin(about, columns.kinds, again=True)
    return Job(files.setup(), files.cache, str(tmp_path / "store"), recipe, torch.__version__, columns, 3)


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
    _, found, expected, advice = work(replace(job, torch="1.0"), folder).error
    assert "torch 1.0" in expected
    assert "torch 2" in found
    assert "same versions" in advice


def test_a_worker_that_does_not_see_the_store_is_told(job, folder, tmp_path):
    path, found, _, advice = work(replace(job, store=str(tmp_path / "elsewhere")), folder).error
    assert (str(tmp_path / "elsewhere") in path, found) == (True, "no such folder")
    assert "on a file system that all machines see" in advice
