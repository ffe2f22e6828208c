"""The matrix on disk: right, resumable, one writer, never half-read."""

import errno
import json
import re
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Files, demo_texts, write_coco, write_vectors, write_weights
from reference import encode_slowly

from core.assets import AssetError
from core.corpus.sentences import Sentences
from core.encoding.building import distinct_chunks
from core.encoding.matrix import EmbeddingMatrix
from core.encoding.recipe import Recipe
from core.encoding.row_files import unfinished_rows, write_rows
from core.opening import locate, open_, open_text_encoder
from core.store.cache import Cache
from core.store.progress import finish
from core.store.whole import is_whole, read_json, write_json


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("core.encoding.building.CHUNK", 40)


def folder_of(files: Files) -> Path:
    """The place of the matrix, whether it is there or not."""
    return finish(locate(files.setup(), Cache(files.cache))).matrix


def interrupt(files: Files, rows: int) -> Path:
    """Open until at least so many rows are encoded, then leave."""
    folder = folder_of(files)
    steps = open_(files.setup(), Cache(files.cache))
    for _ in steps:
        if (unfinished_rows(folder) or 0) >= rows:
            break
    steps.close()
    return folder


def test_every_caption_has_its_own_unit_row(files, small_chunks):
    opened = files.explorer().opened
    matrix, vectors = opened.matrix, opened.text_encoder.vocabulary.vectors
    sentences = [np.array(vectors.rows[matrix.sentences[row]]) for row in range(300)]
    expected = encode_slowly(torch.load(files.weights, weights_only=True), sentences)
    lengths = np.linalg.norm(expected, axis=1)
    np.testing.assert_allclose(matrix.norms, lengths, rtol=1e-5)
    np.testing.assert_allclose(matrix.rows, expected / lengths[:, None], atol=5e-4)
    assert matrix.rows.dtype == np.float16
    stored = np.linalg.norm(matrix.rows.astype(np.float64), axis=1)
    np.testing.assert_allclose(matrix.row_norms, stored, rtol=1e-6)


def test_the_progress_names_a_sentence_that_takes_minutes(files, monkeypatch):
    monkeypatch.setattr("core.encoding.building._LONG", 30)
    short = demo_texts(20)
    path, named = files.folder / "captions.txt", r"encoding captions( \(no. 21 has \d+ known words\))?"
    for texts, is_named in (([*short, " ".join(short)], True), (short, False)):
        path.write_text("\n".join(texts))
        setup, stages = replace(files, captions=path).setup(), set[str]()
        finish(open_(setup, Cache(files.cache)), lambda progress, stages=stages: stages.add(progress.stage))
        found = [re.fullmatch(named, stage) for stage in stages if stage.startswith("encoding")]
        assert [bool(match and match[1]) for match in found] == [is_named]


@pytest.mark.parametrize("is_large", [False, True])
def test_an_interrupted_matrix_equals_an_uninterrupted_one_bit_by_bit(
    files, small_chunks, tmp_path, monkeypatch, is_large
):
    monkeypatch.setattr("core.encoding.building._COMPILED_FROM", 0 if is_large else 1 << 60)
    folder = interrupt(files, 100)
    assert not is_whole(folder)
    interrupt(files, 200)
    report = files.explorer().opened.report
    assert report.resumed_rows >= 200
    assert not report.reused
    other = replace(files, cache=tmp_path / "other").explorer().opened
    assert other.report.resumed_rows == 0
    for name in ("embeddings.npy", "norms.npy", "row_norms.npy", "ids.npy", "starts.npy"):
        assert (folder / name).read_bytes() == (other.matrix.folder / name).read_bytes()


@pytest.mark.parametrize("failing", ["a chunk", "the last chunk"])
def test_a_disk_that_fills_up_while_encoding_is_named_and_what_is_on_it_counts(
    files, small_chunks, monkeypatch, tmp_path, failing
):
    chunks = len(list(distinct_chunks(replace(files, cache=tmp_path / "other").explorer().opened.matrix.sentences, 40)))
    fails_at, written = {"a chunk": 3, "the last chunk": chunks}[failing], []

    def write(*arguments):
        written.append(0)
        if len(written) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_rows(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("core.encoding.row_files.write_rows", write)
        with pytest.raises(AssetError, match="No space left"):
            files.explorer()
    folder = folder_of(files)
    assert not is_whole(folder)
    assert json.loads((folder / "progress.json").read_text())["chunks"] == fails_at - 1
    assert not [each for each in threading.enumerate() if each.name.startswith(("ahead", "writer"))]
    assert files.explorer().opened.report.resumed_rows > 0
    other = finish(locate(files.setup(), Cache(tmp_path / "other"))).matrix
    assert (folder / "embeddings.npy").read_bytes() == (other / "embeddings.npy").read_bytes()


def test_leaving_while_the_disk_is_full_is_leaving(files, small_chunks, monkeypatch):
    def write(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.encoding.row_files.write_rows", write)
    steps = open_(files.setup(), Cache(files.cache))
    for step in steps:
        if step.stage == "encoding captions" and step.done >= 40:
            break
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt())


def test_a_second_start_encodes_nothing_and_loads_no_weights(files):
    before = files.explorer().opened
    stamp = (before.matrix.folder / "embeddings.npy").stat().st_mtime_ns
    again = files.explorer().opened
    assert again.report.reused
    assert not again.text_encoder.is_loaded
    assert (again.matrix.folder / "embeddings.npy").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("changed", ["weights", "vectors", "captions"])
def test_a_change_of_any_input_makes_another_matrix_and_leaves_the_old_one(files, changed):
    first = files.explorer().opened.matrix.folder
    if changed == "weights":
        write_weights(files.weights, seed=1)
    elif changed == "vectors":
        words = [line.split(" ")[0] for line in files.vectors.read_text().splitlines()[1:]]
        write_vectors(files.vectors, words, seed=1)
    else:
        write_coco(files.captions, [*demo_texts(299), "a caption that is new"])
    explorer = files.explorer()
    assert explorer.opened.matrix.folder != first
    assert not explorer.opened.report.reused
    assert len(EmbeddingMatrix(first)) == 300


def test_a_recipe_names_everything_that_decides_the_values():
    recipe = Recipe("w", "v", "t", 2, "tokenizer", 100, "float32")
    for field, value in [
        *(("weights", "x"), ("vectors", "x"), ("texts", "x"), ("version", 1), ("tokenizer", "x")),
        *(("vocab_size", 99), ("dtype", "bfloat16"), ("format", 0)),
    ]:
        assert Recipe(**{name: getattr(recipe, name) for name in recipe.__slots__} | {field: value}).key != recipe.key


def test_unfinished_work_of_another_torch_starts_over_and_says_so(files, small_chunks):
    folder = interrupt(files, 100)
    progress = read_json(folder / "progress.json")
    progress["how"]["torch"] = "1.0"
    write_json(folder / "progress.json", progress)
    explorer = files.explorer()
    assert explorer.opened.report.resumed_rows == 0
    assert "torch was 1.0" in explorer.opened.report.started_over


def test_a_compiler_that_worked_no_longer_makes_unfinished_work_start_over(files, small_chunks, monkeypatch):
    monkeypatch.setattr("core.encoding.building._COMPILED_FROM", 0)
    interrupt(files, 100)
    monkeypatch.setattr("core.encoding.encoder.compiled_steps_work", lambda *_: False)
    report = files.explorer().opened.report
    assert report.resumed_rows == 0
    assert "numba was" in report.started_over


def test_a_damaged_progress_note_starts_over(files, small_chunks):
    folder = interrupt(files, 100)
    note = folder / "progress.json"
    for damaged in ("{", note.read_text().replace('"chunks": ', '"chunks": 1')):
        note.write_text(damaged)
        assert unfinished_rows(folder) == 0
    explorer = files.explorer()
    assert explorer.opened.report.resumed_rows == 0
    assert len(EmbeddingMatrix(folder)) == 300


@pytest.mark.parametrize("name", ["embeddings", "norms", "row_norms", "ids", "starts"])
@pytest.mark.parametrize("damage", ["cut off", "empty", "missing"])
def test_a_damaged_matrix_is_made_anew(files, name, damage):
    folder = files.explorer().opened.matrix.folder
    path = folder / f"{name}.npy"
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2 if damage == "cut off" else 0])
    explorer = files.explorer()
    assert not explorer.opened.report.reused
    assert "damaged" in explorer.opened.report.started_over
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "damage",
    ["[]", "{", "{}", '{"how": {}, "chunks": 1}', '{"how": 3, "chunks": 1, "batch_size": 4, "rows": 2}'],
)
def test_an_unfinished_matrix_with_a_damaged_note_is_made_anew(files, small_chunks, damage):
    folder = interrupt(files, 100)
    (folder / "progress.json").write_text(damage)
    if damage.startswith('{"how"'):
        write_json(folder / "progress.json", json.loads(damage))  # its checksum is right
    assert unfinished_rows(folder) in (0, 2)
    explorer = files.explorer()
    assert explorer.opened.report.resumed_rows == 0
    assert len(explorer.opened.matrix) == 300


def test_captions_of_the_same_words_are_encoded_once_and_stored_in_every_place(files):
    write_coco(files.captions, ["a dog on the beach", "a cat", "a dog on the beach", "a dog on the beach"])
    matrix = files.explorer().opened.matrix
    np.testing.assert_array_equal(matrix.rows[0], matrix.rows[2])
    np.testing.assert_array_equal(matrix.rows[0], matrix.rows[3])
    assert not np.array_equal(matrix.rows[0], matrix.rows[1])


def test_captions_without_known_words_are_counted_and_kept_at_the_point_of_the_marks(files):
    write_coco(files.captions, ["a dog", "xylograph", "", "a cat", "zzz qqq"])
    explorer = files.explorer()
    assert explorer.opened.matrix.sentences.wordless().tolist() == [1, 2, 4]
    np.testing.assert_array_equal(explorer.opened.matrix.rows[1], explorer.opened.matrix.rows[2])


def test_sentences_finds_the_rows_that_hold_the_same_ids():
    rows = [[1, 5, 2], [1, 5, 6, 2], [1, 2], [1, 5, 2]]
    sentences = Sentences(np.concatenate(rows).astype(np.int32), np.array([0, 3, 7, 9, 12]))
    assert sentences.find(np.array([1, 5, 2], np.int32)).tolist() == [0, 3]
    assert sentences.find(np.array([1, 6, 2], np.int32)).tolist() == []
    assert len(sentences) == 4


def test_two_processes_on_one_cache_encode_once(files):
    """Both end well, and the second finds the matrix that the first made."""
    command = [sys.executable, "-m", "tui", "encode", "--json", "--quiet", *files.flags]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    documents = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert documents[0]["path"] == documents[1]["path"]
    assert sorted(document["reused"] for document in documents) == [False, True]


FILL_DISK = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
from tui.cli import main
main()
"""


def test_a_full_disk_is_told_before_anything_is_computed_and_leaves_nothing_half_written(files, tmp_path):
    """A limit on file sizes stands for the full disk: the system refuses to give the space in the same call."""
    write_coco(files.captions, demo_texts(1500))
    finish(open_text_encoder(files.setup(), Cache(files.cache)))  # converts the vectors while there is room
    script = tmp_path / "full.py"
    script.write_text(textwrap.dedent(FILL_DISK))
    ran = subprocess.run(
        [sys.executable, str(script), "encode", *files.flags, "--dtype", "float32"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 2
    assert "--cache-dir" in ran.stderr
    assert "Traceback" not in ran.stderr
    with pytest.raises(FileNotFoundError):
        EmbeddingMatrix(folder_of(files))
    assert len(files.explorer().opened.matrix) == 1500


def test_a_cache_that_cannot_be_written_is_named(files):
    blocked = files.folder / "a file"
    blocked.write_text("")
    with pytest.raises(AssetError, match="--cache-dir"):
        finish(open_(files.setup(), Cache(blocked / "cache")))


def test_what_was_made_of_a_damaged_matrix_goes_with_it(files):
    folder = files.explorer().opened.matrix.folder
    (folder / "lexical" / "planted").parent.mkdir(exist_ok=True)
    (folder / "lexical" / "planted").touch()
    (folder / "embeddings.npy").write_bytes(b"noise")
    files.explorer()
    assert not (folder / "lexical" / "planted").exists()
