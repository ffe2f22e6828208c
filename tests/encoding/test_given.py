"""Embeddings that the user gives: reading them, and exploring captions by them without an encoder."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from conftest import Files

from core.assets import AssetError, Assets
from core.encoding.given import read_embeddings

N = 300


@pytest.fixture
def given(tmp_path) -> np.ndarray:
    """Embeddings of the captions of `files`, (N, D), where D is no multiple of anything."""
    return np.random.default_rng(0).standard_normal((N, 37)).astype(np.float32)


def save(path, array) -> object:
    np.save(path, array)
    return path


def cosine_distances(rows: np.ndarray, row: int) -> np.ndarray:
    """Distances of all rows from one, in float64."""
    unit = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return 1 - unit @ unit[row]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2"])
def test_neighbours_are_those_of_the_array(files: Files, given, tmp_path, dtype):
    given = (given * 1000).astype(dtype) if dtype == "i2" else given.astype(dtype)
    explorer = files.explorer(embeddings=save(tmp_path / "clip.npy", given))
    for row in (0, 7, N - 1):
        hits = explorer.neighbours(row).hits
        expected = cosine_distances(given, row)
        assert hits.rows[0] == row
        assert hits.distances == pytest.approx(expected[hits.rows], abs=2e-3)  # rows are stored as float16
        assert expected[hits.rows[1]] == pytest.approx(np.delete(expected, row).min(), abs=2e-3)


def test_a_parquet_column_of_lists_gives_the_same_matrix(files: Files, given, tmp_path):
    frame = pd.DataFrame({"id": range(N), "text": ["x"] * N, "embedding": list(given)})
    frame.to_parquet(tmp_path / "e.parquet")
    assert (read_embeddings(tmp_path / "e.parquet", N) == given).all()
    explorers = [files.explorer(embeddings=path) for path in (tmp_path / "e.parquet", save(tmp_path / "e.npy", given))]
    rows = [explorer.opened.matrix.rows for explorer in explorers]
    assert (rows[0] == rows[1]).all()
    assert explorers[0].opened.matrix.folder != explorers[1].opened.matrix.folder, "their files differ"


def test_other_embeddings_have_another_matrix_and_the_same_are_taken_over_once(files: Files, given, tmp_path):
    first = files.explorer(embeddings=save(tmp_path / "e.npy", given)).opened
    again = files.explorer(embeddings=tmp_path / "e.npy").opened
    other = files.explorer(embeddings=save(tmp_path / "f.npy", given[::-1])).opened
    assert (first.report.reused, again.report.reused, other.report.reused) == (False, True, False)
    assert first.matrix.folder == again.matrix.folder != other.matrix.folder
    assert first.matrix.recipe["weights"] == again.matrix.recipe["weights"] != other.matrix.recipe["weights"]


def test_what_needs_no_encoder_works_and_the_rest_says_what_it_lacks(files: Files, given, tmp_path):
    explorer = files.explorer(embeddings=save(tmp_path / "e.npy", given), need="methods")
    opened, caption = explorer.opened, explorer.opened.captions.texts[5]
    typed = explorer.ask("a dog near a bicycle")
    assert (len(typed.hits), typed.found) == (0, None)
    assert "without their encoder" in typed.verdict.reasons[0]
    assert "bm25" in typed.verdict.reasons[0]
    assert explorer.ask(caption).query.row == 5, "a text that is a caption is that caption"
    assert explorer.ask(caption + " zyzzyva").query.row is None
    assert len(explorer.ask("a dog near a bicycle", method="bm25").hits)
    assert len(explorer.ask("a dog near a bicycle", method="fused").hits)
    words = explorer.ask(caption, method="words")
    assert "--vectors" in words.verdict.reasons[0]
    assert "without their encoder" in explorer.ask("a dog", method="context").verdict.reasons[0]
    complete = explorer.complete(explorer.neighbours(5))
    assert [token.known for token in complete.query.tokens] == [True] * len(complete.query.tokens)
    assert "without an encoder" in " ".join(complete.verdict.reasons)
    explanation = explorer.explainer.explain(complete, int(complete.hits.rows[1]))
    assert (explanation.tokens, explanation.agreement) == ((), None)
    assert 0 <= explorer.random_row() < N
    list(opened.calibrate())
    assert opened.calibration is None
    assert opened.problems() == []


def test_word_vectors_may_be_given_beside_them(files: Files, given, tmp_path):
    explorer = files.explorer(embeddings=save(tmp_path / "e.npy", given), vectors=files.vectors, need="methods")
    with_encoder = files.explorer(need="methods")
    theirs, ours = (each.ask("a dog near a lake", method="words").hits for each in (with_encoder, explorer))
    assert ours.rows.tolist() == theirs.rows.tolist()


def test_an_archive_of_several_files_of_vectors_is_refused_with_what_to_do(files: Files, given, tmp_path):
    archive = tmp_path / "vectors.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("a.vec", "b.vec"):
            packed.write(files.vectors, name)
    with pytest.raises(AssetError, match=r"a\.vec .* numbers a word") as error:
        files.explorer(embeddings=save(tmp_path / "e.npy", given), vectors=archive)
    assert "unpack the right one" in error.value.advice


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.ones((N - 1, 4), "f4"), "holds 299 embeddings, and there are 300 captions"),
        (np.ones(N, "f4"), "shape (300,)"),
        (np.ones((N, 0), "f4"), "shape (300, 0)"),
        (np.ones((N, 1), "f4"), "shape (300, 1)"),
        (np.full((N, 4), "x"), "type <U1"),
        (np.ones((N, 4), complex), "type complex128"),
    ],
)
def test_another_shape_or_type_is_refused(tmp_path, array, found):
    with pytest.raises(AssetError, match="what to do") as error:
        read_embeddings(save(tmp_path / "e.npy", array), N)
    assert found in error.value.found


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, 1e-38])
def test_a_row_without_direction_is_named_and_nothing_is_kept(files: Files, given, tmp_path, bad):
    given[17] = bad
    with pytest.raises(AssetError, match="row 17"):
        files.explorer(embeddings=save(tmp_path / "e.npy", given))
    assert list((files.cache / "matrix").rglob("*.npy")) == []


def test_files_that_are_no_array_are_named(tmp_path, given):
    np.savez(tmp_path / "e.npz", given)
    save(tmp_path / "cut.npy", given)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:500])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "e.npz").read_bytes()[:500])
    whole = save(tmp_path / "whole.npy", given).read_bytes()
    shapes = {"vast": 10**12, "endless": 10**30, "negative": -5, "nothing": N}
    (tmp_path / "quote.npy").write_bytes(whole.replace(b"(300", b'""""'))
    for name, shape in shapes.items():
        kind = "<0f4" if name == "nothing" else "<f4"
        text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}, 37)}}".ljust(117) + "\n"
        (tmp_path / f"{name}.npy").write_bytes(whole[:10] + text.encode() + whole[128:])
    (tmp_path / "e.txt").write_text("0.1 0.2")
    (tmp_path / "empty.npy").touch()
    np.save(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    pd.DataFrame({"a": [1.0]}).to_parquet(tmp_path / "none.parquet")
    pd.DataFrame({"a": [[1.0]], "b": [[1.0]]}).to_parquet(tmp_path / "two.parquet")
    pd.DataFrame({"a": [[1.0, 2.0], [1.0]] * (N // 2)}).to_parquet(tmp_path / "ragged.parquet")
    pd.DataFrame({"a": [[1.0, 2.0], None] * (N // 2)}).to_parquet(tmp_path / "gaps.parquet")
    for name, found in {
        "e.npz": "several arrays",
        "cut.npy": "cannot be read as a .npy",
        "empty.npy": "is empty",
        "e.txt": "neither a .npy nor a Parquet",
        "cut.npz": "several arrays",
        "quote.npy": "cannot be read as a .npy",
        "vast.npy": "cannot be read as a .npy",
        "endless.npy": "cannot be read as a .npy",
        "negative.npy": "cannot be read as a .npy",
        "nothing.npy": "cannot be read as a .npy",
        "pickled.npy": "cannot be read as a .npy",
        "none.parquet": "has 0 columns",
        "two.parquet": "has 2 columns of lists of numbers: a, b",
        "ragged.parquet": "different lengths",
        "gaps.parquet": "different lengths, or gaps",
    }.items():
        with pytest.raises(AssetError, match="what to do") as error:
            read_embeddings(tmp_path / name, N)
        assert found in error.value.found, name


def test_a_parquet_file_of_vast_lists_is_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("core.encoding.given._MOST_DIM", 100)
    pd.DataFrame({"embedding": [[0.5] * 200] * N}).to_parquet(tmp_path / "e.parquet")
    with pytest.raises(AssetError, match="60,000 numbers"):
        read_embeddings(tmp_path / "e.parquet", N)
    with pytest.raises(AssetError, match="holds 300 embeddings, and there are 299"):
        read_embeddings(tmp_path / "e.parquet", N - 1)


def test_weights_beside_embeddings_are_refused(files: Files, tmp_path, given):
    path = save(tmp_path / "e.npy", given)
    with pytest.raises(AssetError, match="leave out"):
        Assets.find(weights=files.weights, vectors=files.vectors, embeddings=path)
    assert Assets.find(captions=files.captions, embeddings=path).files == [path, files.captions]


def test_a_caption_of_unknown_words_is_found_by_its_embedding(files: Files, given, tmp_path):
    document = json.loads(files.captions.read_text())
    for annotation in document["annotations"][:2]:
        annotation["caption"] = "qrtz 囧"
    files.captions.write_text(json.dumps(document))
    given[0] = given[9] + 0.01
    explorer = files.explorer(embeddings=save(tmp_path / "e.npy", given))
    assert explorer.neighbours(9).hits.rows[1] == 0
