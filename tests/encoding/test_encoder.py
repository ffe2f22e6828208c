"""The encoder equals one sentence at a time through torch.nn.LSTM, in whatever company a sentence is encoded."""

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import HIDDEN, WORD_DIM, needs_real_captions, real_captions, write_vectors, write_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import encode_slowly, winners_slowly
from safetensors.torch import save_file

from core.assets import AssetError
from core.corpus.sentences import Sentences
from core.corpus.tokenizer import Tokenizer
from core.corpus.vec_file import VecFile
from core.corpus.vectors import WordVectors
from core.encoding.encoder import SentenceEncoder
from core.encoding.pooling import pool
from core.encoding.weights import KEYS, choose_device, choose_dtype, read_weights
from core.store.progress import Cancelled, finish

WORDS = 30
ALONE = 2e-4  # how far a sentence encoded alone may be: its recurrent weights are read in half precision


def joined(sentences):
    return Sentences.joined([np.array(ids, np.int32) for ids in sentences])


class Setup:
    """An encoder, its weights, and vectors for it."""

    def __init__(self, folder: Path, word_dim: int = WORD_DIM, hidden: int = HIDDEN, words: int = WORDS) -> None:
        self.path = write_weights(folder / "weights.pkl", word_dim=word_dim, hidden=hidden)
        self.weights = torch.load(self.path, weights_only=True)
        vectors = write_vectors(folder / "vectors.vec", [f"w{i}" for i in range(words)], dim=word_dim)
        finish(WordVectors.convert(VecFile(vectors), folder / "vectors"))
        self.vectors = WordVectors(folder / "vectors")
        self.encoder = SentenceEncoder.load(self.path)

    def slowly(self, sentences):
        return encode_slowly(self.weights, [np.array(self.vectors.rows[list(ids)]) for ids in sentences])

    def together(self, sentences, **options):
        return finish(self.encoder.encode_together(joined(sentences), self.vectors, **options)).embeddings.numpy()


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    return Setup(tmp_path_factory.mktemp("encoder"))


sentences_strategy = st.lists(
    st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=9).map(tuple), min_size=1, max_size=25, unique=True
)


@given(sentences_strategy, st.integers(1, 30), st.booleans())
@settings(deadline=None, max_examples=60)
def test_together_each_feature_has_the_token_of_its_maximum(setup, sentences, batch_size, is_large):
    options = {"batch_size": batch_size, "is_large": is_large}
    steps = setup.encoder.encode_together(joined(sentences), setup.vectors, winners=True, **options)
    embeddings, winners = (each.numpy() for each in finish(steps))
    assert embeddings == pytest.approx(setup.together(sentences), abs=1e-6)
    vectors = [np.array(setup.vectors.rows[list(ids)]) for ids in sentences]
    for found, (expected, margin) in zip(winners, winners_slowly(setup.weights, vectors), strict=True):
        clear = margin > 1e-5
        assert found[clear].tolist() == expected[clear].tolist()


@given(sentences_strategy, st.integers(1, 30), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_sentence_does_not_depend_on_its_batch(setup, sentences, batch_size, is_large):
    embeddings = setup.together(sentences, batch_size=batch_size, is_large=is_large)
    np.testing.assert_allclose(embeddings, setup.slowly(sentences), atol=1e-6)


@given(st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_one_sentence_equals_the_reference_and_its_importance_sums_to_one(setup, ids):
    encoded = setup.encoder.encode(np.array(setup.vectors.rows[ids]))
    np.testing.assert_allclose(encoded.embedding, setup.slowly([ids])[0], atol=ALONE)
    assert encoded.importance.shape == (len(ids),)
    assert encoded.importance.sum() == pytest.approx(1)


def test_importance_counts_the_features_that_each_word_wins(setup):
    ids = [3, 1, 4, 1, 5]
    lstm = torch.nn.LSTM(WORD_DIM, HIDDEN, bidirectional=True)
    lstm.load_state_dict({name.removeprefix("enc_lstm."): value for name, value in setup.weights.items()})
    with torch.no_grad():
        states = lstm(torch.tensor(np.array(setup.vectors.rows[ids]))[:, None])[0][:, 0].numpy()
    expected = np.bincount(states.argmax(axis=0), minlength=len(ids)) / (2 * HIDDEN)
    np.testing.assert_allclose(setup.encoder.encode(np.array(setup.vectors.rows[ids])).importance, expected, atol=1e-6)


def test_a_long_sentence_can_be_given_up_between_its_parts(setup):
    looks = []
    with pytest.raises(Cancelled):
        setup.encoder.encode(np.ones((1000, WORD_DIM), np.float32), cancelled=lambda: looks.append(0) or len(looks) > 2)
    assert len(looks) == 3


def test_a_sentence_of_several_parts_equals_the_reference(setup):
    ids = [(i * 7) % WORDS for i in range(150)]
    encoded = setup.encoder.encode(np.array(setup.vectors.rows[ids]))
    np.testing.assert_allclose(encoded.embedding, setup.slowly([ids])[0], atol=ALONE)
    assert encoded.importance.sum() == pytest.approx(1)


@pytest.mark.parametrize("direction", [0, 1])
def test_of_a_long_sentence_no_more_states_are_kept_than_of_a_short_one(setup, direction):
    kept = []
    for length in (64, 640):
        vectors = torch.from_numpy(np.resize(setup.vectors.rows, (length, WORD_DIM)))
        passed = setup.encoder._step_through(direction, vectors, None, lambda: False)
        kept.append(sum(each.untyped_storage().nbytes() for each in passed))
    assert kept[0] == kept[1]


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=2, max_size=6))
@settings(deadline=None, max_examples=60)
def test_a_sentence_does_not_depend_on_the_one_encoded_before_it(setup, sentences):
    encoder = SentenceEncoder(setup.weights)
    for ids in sentences:
        words = np.array(setup.vectors.rows[ids])
        after, alone = encoder.encode(words), SentenceEncoder(setup.weights).encode(words)
        np.testing.assert_allclose(after.embedding, alone.embedding, atol=ALONE)
        np.testing.assert_allclose(after.importance, alone.importance, atol=0.1)  # near ties


def test_a_changed_last_word_costs_only_the_forward_steps_from_there(setup, monkeypatch):
    encoder = SentenceEncoder(setup.weights)
    encoder.encode(np.array(setup.vectors.rows[[1, 2, 3, 4, 5, 6]]))
    steps = []
    project = type(encoder._directions[0]).project
    monkeypatch.setattr(
        type(encoder._directions[0]), "project", lambda self, words: steps.append(len(words)) or project(self, words)
    )
    encoder.encode(np.array(setup.vectors.rows[[1, 2, 3, 4, 7, 6]]))
    assert sorted(steps) == [2, 6]


def test_a_sentence_given_up_leaves_the_next_one_right(setup):
    encoder = SentenceEncoder(setup.weights)
    ids = [i % WORDS for i in range(200)]
    encoder.encode(np.array(setup.vectors.rows[ids[:100]]))
    with pytest.raises(Cancelled):
        encoder.encode(np.array(setup.vectors.rows[ids]), cancelled=lambda: True)
    encoded = encoder.encode(np.array(setup.vectors.rows[ids]))
    np.testing.assert_allclose(encoded.embedding, setup.slowly([ids])[0], atol=ALONE)


@pytest.mark.parametrize("is_large", [False, True])
def test_more_sentences_than_fit_one_step_stay_exact(setup, monkeypatch, is_large):
    monkeypatch.setattr("core.encoding.pooling._PARENTS_PER_STEP", 3)
    monkeypatch.setattr("core.encoding.pooling._TILE_BYTES", 2 * 4 * 4 * HIDDEN)
    sentences = [(i, j, (i * j) % WORDS, 7) for i in range(6) for j in range(6)]
    np.testing.assert_allclose(setup.together(sentences, is_large=is_large), setup.slowly(sentences), atol=1e-6)


@pytest.mark.parametrize("is_large", [False, True])
def test_a_very_long_sentence_costs_the_short_ones_nothing(setup, is_large):
    sentences = [tuple(i % WORDS for i in range(3000)), (1, 2), (1,)]
    np.testing.assert_allclose(setup.together(sentences, is_large=is_large), setup.slowly(sentences), atol=1e-5)


@pytest.mark.parametrize("is_large", [False, True])
def test_bfloat16_points_the_same_way(setup, is_large):
    sentences = [(i, (i * 7) % WORDS, (i * 3) % WORDS, 2) for i in range(WORDS)]
    encoder = SentenceEncoder.load(setup.path, dtype="bfloat16")
    steps = encoder.encode_together(joined(sentences), setup.vectors, is_large=is_large)
    coarse = finish(steps).embeddings.numpy()
    exact = setup.slowly(sentences)
    cosines = (coarse * exact).sum(axis=1) / np.linalg.norm(coarse, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosines.min() > 0.9999
    assert not np.array_equal(coarse, exact)


def test_work_that_does_not_fit_the_device_is_halved_and_stays_exact(setup, monkeypatch):
    sentences = [(i, (i * 7) % WORDS) for i in range(20)]

    def tight(plan, stepper, *, out, **options):
        if len(out) > 6:
            raise torch.OutOfMemoryError("no room for more than 6 sentences")
        return pool(plan, stepper, out=out, **options)

    monkeypatch.setattr("core.encoding.encoder.pool", tight)
    np.testing.assert_allclose(setup.together(sentences), setup.slowly(sentences), atol=1e-6)
    steps = setup.encoder.encode_together(joined(sentences), setup.vectors)
    assert {step.batch_size for step in steps} == {5}


def test_a_single_sentence_that_does_not_fit_is_an_error(setup, monkeypatch):
    def full(*args, **options):
        raise torch.OutOfMemoryError("no room at all")

    monkeypatch.setattr("core.encoding.encoder.pool", full)
    with pytest.raises(AssetError, match="--device cpu"):
        setup.together([(1, 2), (3, 4)])


def test_encoding_can_be_left_between_any_two_steps(setup):
    steps = setup.encoder.encode_together(joined([(i, 1) for i in range(20)]), setup.vectors)
    seen = [next(steps).done for _ in range(3)]
    steps.close()
    assert seen == sorted(seen)
    assert all(0 <= done <= 20 for done in seen)


@pytest.mark.parametrize("version", [1, 2])
@needs_real_captions
def test_full_size_weights_on_real_captions_equal_the_reference(tmp_path, version):
    """300 -> 2x2048, random weights; the marks and tokens of either version."""
    captions = json.loads(gzip.decompress(real_captions.read_bytes()))["annotations"][: 8 * 10 : 10]
    tokenizer = Tokenizer(version)
    first, last = tokenizer.marks
    tokens = [[first, *tokenizer.tokenize(caption["caption"]), last] for caption in captions]
    words = sorted({token for sentence in tokens for token in sentence})
    setup = Setup(tmp_path, word_dim=300, hidden=2048, words=len(words))
    sentences = [tuple(words.index(token) for token in sentence) for sentence in tokens]
    reference = setup.slowly(sentences)
    np.testing.assert_allclose(setup.together(sentences), reference, atol=1e-5)
    np.testing.assert_allclose(setup.together(sentences, batch_size=5), reference, atol=1e-5)
    np.testing.assert_allclose(setup.together(sentences, is_large=True), reference, atol=1e-5)
    alone = [setup.encoder.encode(np.array(setup.vectors.rows[list(ids)])).embedding for ids in sentences[:3]]
    np.testing.assert_allclose(alone, reference[:3], atol=ALONE)
    lengths = np.linalg.norm(alone, axis=1) * np.linalg.norm(reference[:3], axis=1)
    assert ((np.array(alone, np.float64) * reference[:3]).sum(axis=1) / lengths).min() > 0.999_999


# Weights files


def embedding(path: Path, setup: Setup) -> np.ndarray:
    return SentenceEncoder.load(path).encode(np.array(setup.vectors.rows[[1, 2, 3]])).embedding


@pytest.mark.parametrize("prefix", ["", "encoder.", "module.", "module.encoder.", "encoder.module.", "model.sentence."])
@pytest.mark.parametrize("under", [None, "state_dict", "model", "net"])
def test_weights_are_accepted_with_any_prefix_and_one_level_down(setup, tmp_path, prefix, under):
    state = {f"{prefix}{name}": value for name, value in setup.weights.items()}
    path = tmp_path / "weights.pt"
    torch.save(state if under is None else {under: state, "epoch": 3}, path)
    np.testing.assert_array_equal(embedding(path, setup), embedding(setup.path, setup))
    assert SentenceEncoder.load(path).passed_over == (() if under is None else ("epoch",))


def test_weights_are_accepted_in_half_precision_and_as_safetensors(setup, tmp_path):
    half = {name: value.half() for name, value in setup.weights.items()}
    torch.save(half, tmp_path / "half.pkl")
    np.testing.assert_allclose(embedding(tmp_path / "half.pkl", setup), embedding(setup.path, setup), atol=1e-3)
    for name in ("weights.safetensors", "weights.bin"):
        save_file({key: value.contiguous() for key, value in setup.weights.items()}, tmp_path / name)
        np.testing.assert_array_equal(embedding(tmp_path / name, setup), embedding(setup.path, setup))


def test_safetensors_that_begin_like_a_page_are_read(setup, tmp_path):
    """The length of the header, its first eight bytes, may be any; `<` is a byte of it here."""
    path = tmp_path / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in setup.weights.items()}, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].ljust(length // 256 * 256 + 256 + ord("<"))
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    assert path.read_bytes().startswith(b"<")
    np.testing.assert_array_equal(embedding(path, setup), embedding(setup.path, setup))


def test_a_classifier_and_an_optimizers_state_are_passed_over_and_named(setup, tmp_path):
    path, beside = tmp_path / "checkpoint.pt", {"classifier.0.weight": torch.zeros(2), "head.bias": torch.zeros(2)}
    prefixed = {f"encoder.{name}": value for name, value in setup.weights.items()}
    torch.save(prefixed | beside, path)
    assert SentenceEncoder.load(path).passed_over == ("classifier.0.weight", "head.bias")
    wrapped = {f"module.{name}": value for name, value in (prefixed | beside).items()}
    torch.save(wrapped, path)
    assert SentenceEncoder.load(path).passed_over == ("module.classifier.0.weight", "module.head.bias")
    torch.save(setup.weights | {"epoch": 3}, path)
    assert SentenceEncoder.load(path).passed_over == ("epoch",)
    torch.save({"state_dict": prefixed, "optimizer": {"lr": 0.1}, "loss": 0.5}, path)
    assert SentenceEncoder.load(path).passed_over == ("optimizer", "loss")
    np.testing.assert_array_equal(embedding(path, setup), embedding(setup.path, setup))


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("enc_lstm.weight_ih_l1", "a second layer"),
        ("encoder.enc_lstm.bias_hh_l1_reverse", "a second layer"),
        ("enc_lstm.weight_hr_l0", "a projection of the LSTM's states"),
        ("proj_enc.weight", "a projection"),
        ("encoder.proj.bias", "a projection"),
        ("encoder.fc.weight", "another part"),
        ("encoder.head.weight", "another part"),
        ("attention.query.weight", "attention"),
        ("query_embedding.weight", "attention"),
        ("convnet1.0.weight", "convolutions"),
        ("word_embedding.weight", "word vectors of its own"),
        ("norm.weight", "another part"),
    ],
)
def test_tensors_of_another_encoder_are_refused_by_name_and_meaning(setup, tmp_path, name, meaning):
    prefix = "encoder." if name.startswith("encoder.") else ""
    state = {f"{prefix}{key}": value for key, value in setup.weights.items()}
    torch.save(state | {name: torch.ones(3)}, tmp_path / "other.pkl")
    error = refused(tmp_path / "other.pkl", f"holds {name} beside the encoder's tensors: {meaning}")
    assert "another encoder" in error.advice
    assert "download" not in error.advice


def renamed(module: torch.nn.Module, name: str) -> dict[str, torch.Tensor]:
    return {f"{name}.{key}": value for key, value in module.state_dict().items()}


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (renamed(torch.nn.GRU(12, 8, bidirectional=True), "enc_gru"), "a GRU, not an LSTM"),
        (renamed(torch.nn.GRU(12, 8, bidirectional=True), "enc_lstm"), "a GRU, not an LSTM"),
        (renamed(torch.nn.RNN(12, 8, bidirectional=True), "rnn"), "a plain RNN, not an LSTM"),
        (renamed(torch.nn.LSTM(12, 8), "enc_lstm"), "an LSTM of one direction"),
        (renamed(torch.nn.LSTM(12, 8, bidirectional=True), "lstm"), r"holds lstm.weight_ih_l0 \(32, 12\)"),
        ({"weight": torch.zeros(3)}, r"holds weight \(3,\)"),
        ({}, "holds no tensors"),
    ],
)
def test_other_tensors_are_named_with_what_was_expected_and_no_download(tmp_path, state, found):
    torch.save(state, tmp_path / "other.pkl")
    error = refused(tmp_path / "other.pkl", found)
    assert "enc_lstm.weight_ih_l0" in error.expected
    assert "download" not in error.advice


def test_an_lstm_under_another_name_is_read_once_it_is_renamed(setup, tmp_path):
    path = tmp_path / "other.pkl"
    torch.save({name.replace("enc_lstm", "lstm"): value for name, value in setup.weights.items()}, path)
    assert "rename" in refused(path, "lacks enc_lstm.weight_ih_l0").advice
    state = torch.load(path, weights_only=True)
    torch.save({name.replace("lstm", "enc_lstm"): value for name, value in state.items()}, path)
    np.testing.assert_array_equal(embedding(path, setup), embedding(setup.path, setup))


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, "sparse", "meta"])
def test_tensors_that_are_no_dense_numbers_with_a_fraction_are_refused(setup, tmp_path, kind):
    changed = {name: value.to_sparse() if kind == "sparse" else value.to(kind) for name, value in setup.weights.items()}
    torch.save(changed, tmp_path / "other.pkl")
    refused(tmp_path / "other.pkl", r"is no array of numbers with a fraction|holds a torch\._utils\._rebuild_\w+")


@pytest.mark.parametrize("zipped", [False, True])
def test_one_number_that_stands_for_billions_is_refused(tmp_path, zipped):
    hidden, dim = 300_000, 100_000
    shapes = {"weight_ih": (4 * hidden, dim), "weight_hh": (4 * hidden, hidden), "bias": (4 * hidden,)}
    shape_of = {key: next(shape for kind, shape in shapes.items() if kind in key) for key in KEYS}
    state = {key: torch.full([1] * len(shape), 0.1).expand(shape) for key, shape in shape_of.items()}
    torch.save(state, tmp_path / "vast.pkl", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "vast.pkl", "claim 3,840,019,200,000 bytes: more than the file has")


def test_an_archive_that_unpacks_to_far_more_is_refused(setup, tmp_path):
    large = {name: torch.full((4000, 250), 0.1) if value.dim() == 2 else value for name, value in setup.weights.items()}
    torch.save(large, tmp_path / "stored.pkl")
    packed = zipfile.ZipFile(tmp_path / "packed.pkl", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "stored.pkl") as stored, packed:
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    refused(tmp_path / "packed.pkl", r"an archive that unpacks to 16,\d{3},\d{3} bytes: more than the file has")


def test_a_torchscript_archive_says_how_to_save_its_state_dict(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 3)).save(str(tmp_path / "a.pt"))
    assert "torch.jit.load" in refused(tmp_path / "a.pt", "a TorchScript archive").advice


def test_an_archive_of_members_that_unpack_without_a_bound_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
    refused(tmp_path / "a.pt", "packed with LZMA")


def test_a_prefix_of_thousands_of_levels_takes_no_more_memory_than_it_is_long(setup, tmp_path):
    prefix = "a" + "." * 10_000
    state = {prefix + key: value for key, value in setup.weights.items()} | {prefix + "fc": 1, "a..head.x": 2, "b.x": 3}
    torch.save(state, tmp_path / "a.pkl")
    tracemalloc.start()
    try:
        read = read_weights(tmp_path / "a.pkl")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert list(read.passed_over) == [prefix + "fc", "a..head.x", "b.x"]


def test_two_encoders_in_a_file_are_told(setup, tmp_path):
    state = {f"{name}.{key}": value for name in ("one", "two") for key, value in setup.weights.items()}
    torch.save(state, tmp_path / "two.pkl")
    refused(tmp_path / "two.pkl", "holds 2 encoders: one., two.")
    torch.save({"model": setup.weights, "ema": dict(setup.weights)}, tmp_path / "averaged.pkl")
    error = refused(tmp_path / "averaged.pkl", "holds an encoder under model and ema")
    assert 'torch.load(FILE)["model"]' in error.advice
    torch.save(torch.load(tmp_path / "averaged.pkl")["model"], tmp_path / "one.pkl")
    np.testing.assert_array_equal(embedding(tmp_path / "one.pkl", setup), embedding(setup.path, setup))


def test_a_state_dict_under_two_names_is_one_and_is_looked_through_once(setup, tmp_path):
    """Of a small file, hundreds of thousands of names may mean one large dict."""
    torch.save({"model": setup.weights, "ema": setup.weights}, tmp_path / "again.pkl")
    assert read_weights(tmp_path / "again.pkl").passed_over == ("ema",)


class Module(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc_lstm = torch.nn.LSTM(WORD_DIM, HIDDEN, bidirectional=True)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickled_module_says_in_one_clean_sentence_how_to_save_it_and_that_works(tmp_path, zipped):
    module, path = Module(), tmp_path / "module.pkl"
    torch.save(module, path, _use_new_zipfile_serialization=zipped)
    error = refused(path, r"a pickle that holds a [\w.]+, not only tensors")
    assert "torch.save(model.state_dict(), FILE)" in error.advice
    assert "\x1b" not in str(error)
    assert len(str(error).splitlines()) == 3
    torch.save(module.state_dict(), path)
    assert SentenceEncoder.load(path).dim == 2 * HIDDEN


def refused(path: Path, found: str) -> AssetError:
    with pytest.raises(AssetError, match=found) as caught:
        SentenceEncoder.load(path)
    assert caught.value.path == str(path)
    assert caught.value.advice
    return caught.value


def write_bad(folder: Path, weights: dict[str, torch.Tensor], kind: str) -> Path:
    path = folder / "bad.pkl"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "html":
        path.write_text("<!DOCTYPE html><html><body>Access denied</body></html>")
    elif kind == "cut off":
        whole = folder / "whole.pkl"
        torch.save(weights, whole, _use_new_zipfile_serialization=False)
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    elif kind == "cut off zip":
        torch.save(weights, path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "noise":
        path.write_bytes(bytes(range(256)) * 10)
    elif kind == "a list":
        torch.save([torch.zeros(3)], path)
    elif kind == "other keys":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "other shapes":
        torch.save(weights | {"enc_lstm.weight_hh_l0": torch.zeros(4, 4)}, path)
    elif kind == "not finite":
        torch.save(weights | {"enc_lstm.bias_hh_l0": torch.full((4 * HIDDEN,), float("nan"))}, path)
    elif kind == "zeros":
        torch.save({name: torch.zeros_like(value) for name, value in weights.items()}, path)
    elif kind == "a flat tensor":
        torch.save(weights | {"enc_lstm.weight_ih_l0": torch.zeros(8)}, path)
    elif kind == "a number":
        torch.save(weights | {"enc_lstm.weight_ih_l0": torch.tensor(8.0)}, path)
    elif kind == "code":
        torch.save({"run": print}, path)
    elif kind == "missing":
        return folder / "missing.pkl"
    elif kind == "folder":
        return folder
    return path


@pytest.mark.parametrize(
    "kind",
    [
        *("empty", "html", "cut off", "cut off zip", "noise", "a list", "other keys", "other shapes", "not finite"),
        *("zeros", "a flat tensor", "a number", "code", "missing", "folder"),
    ],
)
def test_a_file_that_is_no_state_dict_is_refused_with_its_name(setup, tmp_path, kind):
    path = write_bad(tmp_path, setup.weights, kind)
    with pytest.raises(AssetError) as caught:
        SentenceEncoder.load(path)
    assert caught.value.path == str(path)
    assert caught.value.advice


@pytest.mark.parametrize("zipped", [False, True])
def test_weights_cut_off_anywhere_are_refused(setup, tmp_path, zipped):
    path = tmp_path / "weights.pkl"
    torch.save(setup.weights, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in [*range(1, 400, 3), *range(400, len(whole) - 1, 101)]:
        path.write_bytes(whole[:length])
        with pytest.raises(AssetError):
            SentenceEncoder.load(path)


def test_what_a_reader_stumbles_over_is_told_only_where_it_is_a_sentence(tmp_path):
    path = tmp_path / "weights.pkl"
    for content, told in ((b"\x80\x02h\x05.", ""), (b"\x80\x02X\x05.", " (")):
        path.write_bytes(content)
        with pytest.raises(AssetError) as caught:
            SentenceEncoder.load(path)
        assert caught.value.found.startswith(f"damaged, or not a state dict{told}")
        assert told or caught.value.found.endswith("dict")


@pytest.mark.parametrize("message", ["CUDA out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"])
def test_a_query_is_encoded_on_the_processor_when_the_memory_of_the_gpu_runs_out(setup, monkeypatch, message):
    encoder, whole = SentenceEncoder.load(setup.path), SentenceEncoder._encode
    encoder.device = torch.device("cuda")  # only by name: there is none here

    def full(self, word_vectors, cancelled):
        if self.device.type != "cpu":
            raise (torch.OutOfMemoryError if "out of memory" in message else RuntimeError)(message)
        return whole(self, word_vectors, cancelled)

    monkeypatch.setattr(SentenceEncoder, "_encode", full)
    assert not encoder.ran_out_of_memory
    for ids in ((1, 2, 3), (1, 2, 4)):
        encoded = encoder.encode(np.array(setup.vectors.rows[list(ids)]))
        np.testing.assert_allclose(encoded.embedding, setup.slowly([ids])[0], atol=ALONE)
    assert encoder.ran_out_of_memory


def test_another_error_than_too_little_memory_is_not_hidden(setup, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("a bug")

    encoder = SentenceEncoder.load(setup.path)
    encoder.device = torch.device("cuda")
    monkeypatch.setattr(SentenceEncoder, "_encode", broken)
    monkeypatch.setattr("core.encoding.encoder.pool", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        encoder.encode(np.array(setup.vectors.rows[:3]))
    with pytest.raises(RuntimeError, match="a bug"):
        setup.together([(1, 2)])


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "mps"])
def test_a_name_that_is_no_device_is_refused(name):
    with pytest.raises(AssetError, match="auto, cpu, cuda"):
        choose_device(name)


def test_a_cuda_device_that_is_not_there_is_named():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert choose_device("auto") == "cpu"
    with pytest.raises(AssetError, match="--device cpu"):
        choose_device("cuda")
    assert choose_dtype("float32", "cpu") == "float32"
    assert choose_dtype("auto", "cpu") in ("float32", "bfloat16")
