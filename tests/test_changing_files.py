"""Input files that change while they are hashed, read or used: no wrong result is kept under a right hash."""

import os
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from conftest import Files, demo_texts, write_coco, write_vectors, write_weights

from core.assets import AssetError
from core.corpus.captions import Captions
from core.encoding.encoder import SentenceEncoder
from core.explorer import Explorer
from core.opening import open_, open_text_encoder
from core.store.cache import Cache
from core.store.progress import Steps


def change_at(stage: str, change: Callable[[], object], steps: Steps) -> object:
    """Run slow work and change a file when it first reports a stage; return the result of the work."""
    changed = False
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            assert changed, f"no stage {stage}"
            return end.value
        if progress.stage.startswith(stage) and not changed:
            changed = True
            change()


def rewrite_vectors(files: Files) -> None:
    """Write other numbers for the same words."""
    words = [line.split()[0] for line in files.vectors.read_text(encoding="utf-8").splitlines()[1:]]
    write_vectors(files.vectors, words, seed=5)


def first_hits(explorer: Explorer) -> list[int]:
    return explorer.neighbours(7).hits.rows.tolist()


def opened_from_scratch(files: Files, name: str) -> Explorer:
    """What these files give with a cache of its own."""
    return replace(files, cache=files.folder / name).explorer()


def test_a_file_that_changes_while_it_is_hashed_is_refused(files: Files) -> None:
    steps = open_(files.setup(), Cache(files.cache))
    with pytest.raises(AssetError, match="changed while it was in use"):
        change_at("hashing vectors", lambda: rewrite_vectors(files), steps)
    assert first_hits(files.explorer()) == first_hits(opened_from_scratch(files, "another"))


def test_vectors_that_change_before_they_are_converted_are_refused(files: Files) -> None:
    steps = open_(files.setup(), Cache(files.cache))
    with pytest.raises(AssetError, match="changed while it was in use"):
        change_at("reading captions", lambda: rewrite_vectors(files), steps)
    assert [entry.whole for entry in Cache(files.cache).entries() if entry.kind == "vectors"] == []


def test_vectors_that_change_while_they_are_converted_are_refused(files: Files) -> None:
    steps = open_text_encoder(files.setup(), Cache(files.cache))
    with pytest.raises(AssetError, match="changed while it was in use"):
        change_at("converting", lambda: rewrite_vectors(files), steps)
    assert list(Cache(files.cache).entries()) == []


def test_vectors_that_grow_while_they_are_converted_are_refused(files: Files) -> None:
    def grow() -> None:
        with files.vectors.open("a", encoding="utf-8") as file:
            file.write("more " + " ".join(["0.5"] * 12) + "\n")

    with pytest.raises(AssetError, match="changed while it was in use"):
        change_at("converting", grow, open_text_encoder(files.setup(), Cache(files.cache)))


def test_weights_that_change_before_they_are_loaded_are_refused(files: Files) -> None:
    steps = open_(files.setup(), Cache(files.cache))
    with pytest.raises(AssetError, match="changed while it was in use") as caught:
        change_at("loading the encoder", lambda: write_weights(files.weights, seed=9), steps)
    assert "start again" in caught.value.advice
    assert [entry.kind for entry in Cache(files.cache).entries()] == ["vectors"]
    again = files.explorer()
    assert again.opened.matrix.rows.tobytes() == opened_from_scratch(files, "another").opened.matrix.rows.tobytes()


def test_weights_that_change_behind_an_open_corpus_answer_no_query(files: Files) -> None:
    files.explorer().opened.cache.close()
    explorer = files.explorer()  # the matrix is there, so that the weights are loaded with the first query
    write_weights(files.weights, seed=9)
    with pytest.raises(AssetError, match="changed while it was in use"):
        explorer.queries.of_text("a dog")
    assert first_hits(explorer)  # captions need no weights
    explorer.opened.cache.close()
    fresh = opened_from_scratch(files, "another").queries.of_text("a dog").embedding
    assert np.array_equal(files.explorer().queries.of_text("a dog").embedding, fresh)


@pytest.mark.parametrize("layout", ["pickle", "zip", "safetensors"])
def test_weights_that_change_after_they_are_loaded_change_nothing(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "weights"

    def write(seed: int) -> None:
        state = torch.load(write_weights(tmp_path / "pickle", hidden=512, seed=seed), weights_only=True)
        if layout == "safetensors":
            path.write_bytes(safetensors.torch.save(state))
        else:
            torch.save(state, path, _use_new_zipfile_serialization=layout == "zip")

    write(1)
    encoder = SentenceEncoder.load(path, device="cpu", dtype="float32")
    words = np.ones((4, 12), np.float32)  # (T, E)
    before = encoder.encode(words).embedding
    write(2)
    assert np.array_equal(encoder.encode(words).embedding, before)
    os.truncate(path, 100)
    assert np.array_equal(encoder.encode(words).embedding, before)


@pytest.mark.parametrize("change", ["rewritten", "cut off"])
def test_embeddings_that_change_while_they_are_taken_over_are_refused(files: Files, change: str) -> None:
    path = files.folder / "given.npy"
    rows = np.random.default_rng(0).normal(size=(300, 2000)).astype(np.float32)  # (N, D), more than a page a row
    np.save(path, rows)

    def change_it() -> None:
        if change == "rewritten":
            np.save(path, rows[::-1])
        else:
            os.truncate(path, 4096)

    with pytest.raises(AssetError, match="changed while it was in use"):
        change_at("checking embeddings", change_it, open_(files.setup(embeddings=path), Cache(files.cache)))
    assert [entry.whole for entry in Cache(files.cache).entries() if entry.kind == "matrix"] in ([], [False])
    np.save(path, rows)
    wanted = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.allclose(files.explorer(embeddings=path).opened.matrix.rows, wanted, atol=1e-3)


def test_captions_that_grow_while_they_are_read_are_refused(files: Files) -> None:
    write_coco(files.captions, demo_texts(2000))
    writer = subprocess.Popen(["sh", "-c", f"echo; while echo >> {files.captions}; do :; done"], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(AssetError, match="changed while it was in use"):
            deque(map(Captions.read, [files.captions] * 100))  # on a busy machine the writer may rest during one read
    finally:
        writer.kill()
        writer.communicate()
    assert len(Captions.read(files.captions)) == 2000
