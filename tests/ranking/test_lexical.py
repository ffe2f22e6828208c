"""BM25 and mean word vectors equal the same formulas done slowly, and survive texts without words."""

import math
import warnings
from collections import Counter

import numpy as np
import pytest
import Stemmer
from bm25s.stopwords import STOPWORDS_EN
from conftest import write_coco, write_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpus.sentences import Sentences
from core.corpus.vec_file import VecFile
from core.corpus.vectors import WordVectors
from core.ranking.lexical import BM25, Lexical, MeanWordVectors
from core.store.locks import unless_locked
from core.store.progress import finish

TEXTS = [
    "a dog runs on the beach",
    "two dogs running, running and RUNNING",
    "the and of",
    "",
    "a red kite over the beach",
    "A dog's kite.",
]
K1, B = 1.5, 0.75


def stems_slowly(text: str) -> list[str]:
    """Words of two letters and more, in small letters, without stop words, stemmed."""
    words = "".join(char if char.isalnum() or char == "_" else " " for char in text.lower()).split()
    return Stemmer.Stemmer("english").stemWords([word for word in words if len(word) > 1 and word not in STOPWORDS_EN])


def bm25_slowly(texts: list[str], query: str) -> list[float]:
    """Lucene's BM25 as its formula says, text by text."""
    documents = [stems_slowly(text) for text in texts]
    n, average = len(texts), sum(map(len, documents)) / len(texts)
    scores = []
    for document in documents:
        score = 0.0
        for stem in dict.fromkeys(stems_slowly(query)):
            having = sum(stem in other for other in documents)
            tf = Counter(document)[stem]
            if tf:
                idf = math.log(1 + (n - having + 0.5) / (having + 0.5))
                score += idf * tf / (tf + K1 * (1 - B + B * len(document) / average))
        scores.append(score)
    return scores


def bm25(folder, texts: list[str]) -> BM25:
    BM25.build(folder, texts)
    return BM25(folder)


@pytest.mark.parametrize("query", ["dog", "dogs that run on beaches", "Kite RUNNING kite", "red kite dog beach"])
def test_bm25_scores_equal_the_formula(tmp_path, query):
    index = bm25(tmp_path / "bm25", TEXTS)
    np.testing.assert_allclose(index.scores(index.stems(query)), bm25_slowly(TEXTS, query), rtol=1e-5)


words = st.sampled_from(["dog", "dogs", "kite", "beach", "running", "ran", "the", "a", "of", "snow", "x", "-"])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(words, max_size=8).map(" ".join), min_size=1, max_size=12), st.lists(words).map(" ".join))
def test_bm25_scores_equal_the_formula_on_any_texts(tmp_path_factory, texts, query):
    index = bm25(tmp_path_factory.mktemp("lexical") / "bm25", texts)
    expected = bm25_slowly(texts, query) if any(map(stems_slowly, texts)) else np.zeros(len(texts))
    np.testing.assert_allclose(index.scores(index.stems(query)), expected, rtol=1e-5)


def test_stems_are_distinct_in_order_and_without_stop_words(tmp_path):
    index = bm25(tmp_path / "bm25", TEXTS)
    assert index.stems("The running dogs ran; a dog runs") == ["run", "dog", "ran"]
    assert index.stems("the of and") == index.stems("") == index.stems("!?") == []


def test_unknown_words_score_nothing_and_stand_in_no_caption(tmp_path):
    index = bm25(tmp_path / "bm25", TEXTS)
    assert not index.scores(["xylograph"]).any()
    assert index.rows_with("xylograph").tolist() == []
    assert index.scores([]).tolist() == [0.0] * len(TEXTS)
    np.testing.assert_array_equal(index.scores(["dog", "xylograph"]), index.scores(["dog"]))


def test_the_captions_that_have_a_stem_are_told_in_ascending_order(tmp_path):
    texts = [f"dog {'kite ' * (i % 3)} number{i}" for i in range(50)]
    index = bm25(tmp_path / "bm25", texts)
    assert index.rows_with("dog").tolist() == list(range(50))
    assert index.rows_with("kite").tolist() == [i for i in range(50) if i % 3]


@pytest.mark.parametrize("texts", [["the and of", "a", ""], [""], ["the"]])
def test_a_corpus_of_stop_words_only_scores_nothing(tmp_path, texts):
    index = bm25(tmp_path / "bm25", texts)
    assert len(index) == len(texts)
    assert index.scores(["dog"]).tolist() == [0.0] * len(texts)
    assert index.rows_with("dog").tolist() == []


def test_one_caption_is_a_corpus(tmp_path):
    index = bm25(tmp_path / "bm25", ["a dog"])
    np.testing.assert_allclose(index.scores(["dog"]), bm25_slowly(["a dog"], "dog"), rtol=1e-6)


# Mean word vectors

VOCABULARY = ["<p>", "</p>", "a", "dog", "kite", "beach", "nothing", "unused"]


@pytest.fixture
def vectors(tmp_path) -> WordVectors:
    """Random vectors; that of `nothing` is zero."""
    path = write_vectors(tmp_path / "vectors.vec", VOCABULARY)
    lines = path.read_text(encoding="utf-8").splitlines()
    zero = 1 + VOCABULARY.index("nothing")
    lines[zero] = "nothing" + " 0" * (len(lines[zero].split()) - 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    finish(WordVectors.convert(VecFile(path), tmp_path / "converted"))
    return WordVectors(tmp_path / "converted")


def sentences_of(vectors: WordVectors, texts: list[str]) -> Sentences:
    ids = [vectors.find(["<p>", *text.split(), "</p>"]) for text in texts]
    return Sentences(np.concatenate(ids), np.concatenate([[0], np.cumsum([len(each) for each in ids])]))


def means(folder, vectors: WordVectors, texts: list[str]) -> MeanWordVectors:
    sentences = sentences_of(vectors, texts)
    folder.mkdir()
    finish(MeanWordVectors.build(folder, sentences=sentences, vectors=vectors))
    return MeanWordVectors(folder, sentences=sentences, vectors=vectors)


def mean_slowly(vectors: WordVectors, texts: list[str], query: str) -> np.ndarray:
    """The sum of the words' vectors, each times ln(1 + N / captions that have it), one at least."""
    total = np.zeros(vectors.dim)
    for word in query.split():
        having = max(1, sum(word in text.split() for text in texts))
        row = vectors.rows[vectors.find([word])[0]]
        total += np.asarray(row, np.float64) * math.log(1 + len(texts) / having)
    return total


CAPTIONS = ["a dog", "a a a kite dog", "beach", "kite kite", "", "nothing"]


def test_captions_are_the_unit_mean_of_their_weighted_word_vectors(tmp_path, vectors):
    built = means(tmp_path / "means", vectors, CAPTIONS)
    for row, text in enumerate(CAPTIONS[:4]):
        expected = mean_slowly(vectors, CAPTIONS, text)
        np.testing.assert_allclose(built.rows[row], expected / np.linalg.norm(expected), atol=1e-3)
        assert built.row_norms[row] == pytest.approx(np.linalg.norm(built.rows[row].astype(np.float64)), abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from(VOCABULARY[2:6]), max_size=6).map(" ".join), min_size=1, max_size=9))
def test_captions_and_queries_go_the_same_way(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("words")
    finish(WordVectors.convert(VecFile(write_vectors(folder / "vectors.vec", VOCABULARY)), folder / "converted"))
    vectors = WordVectors(folder / "converted")
    built = means(folder / "means", vectors, texts)
    for row, text in enumerate(texts):
        embedded = built.embed(built.sentences[row])
        np.testing.assert_allclose(embedded, mean_slowly(vectors, texts, text), rtol=1e-4, atol=1e-5)
        length = max(np.linalg.norm(embedded), 1e-30)
        np.testing.assert_allclose(built.rows[row], embedded / length, atol=1e-3)


def test_a_word_that_no_caption_has_counts_as_if_one_had_it(tmp_path, vectors):
    built = means(tmp_path / "means", vectors, CAPTIONS)
    ids = vectors.find(["<p>", "dog", "unused", "</p>"])
    np.testing.assert_allclose(built.embed(ids), mean_slowly(vectors, CAPTIONS, "dog unused"), rtol=1e-5)
    assert built.embed(vectors.find(["<p>", "unused", "</p>"])).any()


def test_a_query_without_words_is_zero(tmp_path, vectors):
    built = means(tmp_path / "means", vectors, CAPTIONS)
    assert not built.embed(vectors.find(["<p>", "</p>"])).any()
    assert not built.embed(vectors.find(["<p>", "nothing", "</p>"])).any()


def test_captions_whose_word_vectors_are_zero_have_zero_rows_of_length_one_without_a_warning(tmp_path, vectors):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = means(tmp_path / "means", vectors, CAPTIONS)
    assert not built.rows[4:].any()
    assert built.row_norms[4:].tolist() == [1, 1]


def test_captions_without_any_known_word_at_all_can_be_averaged(tmp_path, vectors):
    built = means(tmp_path / "means", vectors, ["", ""])
    assert not built.rows.any()
    assert built.embed(vectors.find(["<p>", "dog", "</p>"])).any()


# The folder


def test_an_index_that_cannot_be_read_is_made_anew(files):
    explorer = files.explorer(need="methods")
    before = explorer.ask("a dog on the beach", method="bm25").hits
    folder = explorer.opened.matrix.folder / "lexical"
    for damaged in ("means.npy", "bm25/indices.csc.index.npy", "bm25/params.index.json"):
        (folder / damaged).write_bytes(b"\0" * 9)
        again = files.explorer(need="methods")
        np.testing.assert_array_equal(again.ask("a dog on the beach", method="bm25").hits.rows, before.rows)


def test_a_matrix_cannot_be_pruned_while_its_captions_are_indexed(tmp_path, vectors):
    texts = ["a dog", "kite"]
    steps = Lexical.build(tmp_path / "key" / "lexical", texts, sentences=sentences_of(vectors, texts), vectors=vectors)
    next(steps)
    with unless_locked(tmp_path / "key") as free:
        assert not free
    finish(steps)
    with unless_locked(tmp_path / "key") as free:
        assert free


def test_an_index_of_other_captions_is_made_anew(tmp_path, vectors):
    for texts in (["a dog", "kite"], ["a dog", "kite", "beach"]):
        sentences = sentences_of(vectors, texts)
        folder = tmp_path / f"matrix of {len(texts)}" / "lexical"
        (tmp_path / "matrix of 2").rename(folder.parent) if len(texts) == 3 else None  # as if it were that matrix's
        finish(Lexical.build(folder, texts, sentences=sentences, vectors=vectors))
        built = Lexical(folder, sentences=sentences, vectors=vectors)
        assert len(built.bm25) == len(built.words.rows) == len(texts)


def test_a_caption_with_zero_word_vectors_is_at_distance_one_from_every_query(files):
    lines = files.vectors.read_text(encoding="utf-8").splitlines()
    zero = next(i for i, line in enumerate(lines) if line.startswith("window "))
    lines[zero] = "window" + " 0" * (len(lines[zero].split()) - 1)
    files.vectors.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_coco(files.captions, ["a dog", "window", "a man", "window window"])
    explorer = files.explorer(need="methods")
    hits = explorer.ask("a dog near", method="words").hits
    assert np.isfinite(hits.distances).all()
    assert dict(zip(hits.rows.tolist(), hits.distances.tolist(), strict=True))[1] == 1
    for text in ("window", "window window window"):  # the first one is a caption
        assert len(explorer.ask(text, method="words").hits) == 0
