"""A second encoder beside the first: one more method, with a matrix of its own, measured like the others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Files, write_vectors, write_weights
from scipy.spatial.distance import cdist

from core.assets import RANDOM, AssetError
from core.corpus.captions import Captions
from core.corpus.tokenizer import Tokenizer
from core.encoding.encoder import SentenceEncoder
from core.encoding.row_files import unfinished_rows
from core.encoding.weights import KEYS, read_weights, untrained
from core.explorer import Explorer
from core.opening import locate, open_, open_second
from core.ranking.graph import agree_on_nearest
from core.ranking.methods import AGAINST, METHODS
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish
from core.trust.stress import stress_corpus
from tui.options import Options


def files_texts(files: Files) -> list[str]:
    return list(Captions.read(files.captions).texts)


def beside(files: Files, weights=None, vectors=None) -> Setup:
    weights = weights or write_weights(files.folder / "other.pkl", hidden=8, seed=5)
    return files.setup().with_second(weights, vectors)


def opened_with(files: Files, setup: Setup) -> Explorer:
    return Explorer(finish(open_(setup, Cache(files.cache), need="methods")))


def test_the_second_encoder_ranks_as_it_would_alone(files: Files):
    setup = beside(files)
    both = opened_with(files, setup)
    alone = Explorer(finish(open_(setup.second, Cache(files.cache))))
    assert both.opened.second.matrix.dim == 16
    assert both.opened.matrix.dim == 32
    for text in ("a dog runs on the beach", "two men near a bus", both.opened.captions.texts[7]):
        one, other = both.ask(text, method=AGAINST).hits, alone.ask(text).hits
        assert one.rows.tolist() == other.rows.tolist()
        assert one.distances.tolist() == other.distances.tolist()
    one, other = both.neighbours(3, method=AGAINST).hits, alone.neighbours(3).hits
    assert one.rows.tolist() == other.rows.tolist()


def test_all_methods_stand_beside_each_other_in_a_comparison(files: Files):
    explorer = opened_with(files, beside(files))
    comparison = explorer.compare(explorer.queries.of_text("a dog runs on the beach"))
    assert list(comparison.lists) == [*METHODS, AGAINST]
    assert explorer.opened.name_of(AGAINST) == "other"
    assert explorer.opened.choices == (*METHODS, AGAINST, "auto")


def test_a_query_that_only_the_second_encoder_lacks_has_no_list_by_it(files: Files):
    marks = Tokenizer(2).marks
    vectors = write_vectors(files.folder / "few.vec", [*marks, "cat", "sofa"], seed=3)
    explorer = opened_with(files, beside(files, vectors=vectors))
    answer = explorer.ask("a dog", method=AGAINST)
    assert answer.found is None
    assert answer.verdict.reasons == ("− no word of the query is known to other",)
    assert explorer.ask("a dog").found is not None


def test_a_text_is_the_caption_that_it_equals_for_the_second_encoder(files: Files):
    words = [*Tokenizer(2).marks, *{word for text in files_texts(files) for word in Tokenizer(2).tokenize(text)}]
    few = write_vectors(files.folder / "few.vec", [word for word in words if word != "sofa"], seed=4)
    every = write_vectors(files.folder / "every.vec", [*words, "sofa"], seed=4)
    setup = files.setup(vectors=few).with_second(write_weights(files.folder / "other.pkl", seed=5), every)
    explorer = opened_with(files, setup)
    text = explorer.opened.captions.texts[3]
    hits = explorer.ask(f"sofa {text}", method=AGAINST).hits
    assert hits.distances[0] > 0, "the first encoder takes it for the caption, the second knows one more word"
    assert explorer.ask(f"sofa {text}").hits.distances[0] == 0
    assert explorer.ask(text, method=AGAINST).hits.distances[0] == 0


def test_the_version_of_the_second_encoder_is_in_its_name_or_that_of_the_first(files: Files):
    first = replace(files.setup(), assets=replace(files.setup().assets, version=1))
    for name, version in (("other.pkl", 1), ("infersent2.pkl", 2), ("infersent1.pkl", 1)):
        assert first.with_second(write_weights(files.folder / name, seed=5), None).second.assets.version == version


def test_version_1_stands_beside_version_2(files: Files):
    words = {word for text in files_texts(files) for word in Tokenizer(1).tokenize(text)}
    vectors = write_vectors(files.folder / "glove.vec", [*Tokenizer(1).marks, *sorted(words)], seed=6)
    weights = write_weights(files.folder / "infersent1.pkl", hidden=8, seed=5)
    setup = files.setup().with_second(weights, vectors)
    both, alone = opened_with(files, setup), Explorer(finish(open_(setup.second, Cache(files.cache))))
    assert (setup.assets.version, setup.second.assets.version) == (2, 1)
    one, other = (
        each.ask("a man doesn't ride", method=method) for each, method in ((both, AGAINST), (alone, "infersent"))
    )
    assert one.hits.rows.tolist() == other.hits.rows.tolist()


def test_untrained_weights_have_the_shapes_of_the_first_encoders_and_are_always_the_same(files: Files):
    path = write_weights(files.folder / "trained.pkl", seed=3)
    weights = read_weights(path)
    one, other = untrained(weights), untrained(weights)
    for key in KEYS:
        assert one.tensors[key].shape == weights.tensors[key].shape
        assert (one.tensors[key] == other.tensors[key]).all()
        assert not (one.tensors[key] == weights.tensors[key]).any()
    explorer = opened_with(files, files.setup(weights=path).with_second(RANDOM, None))
    opened = explorer.opened.second
    assert explorer.opened.name_of(AGAINST) == RANDOM
    text = "a dog runs on the beach"
    ids = opened.text_encoder.vocabulary.look_up(text).ids
    words = np.asarray(opened.text_encoder.vocabulary.vectors.rows[ids])
    expected = SentenceEncoder(one.tensors).encode(words).embedding
    distances = cdist([expected], opened.matrix.rows.astype(float), "cosine")[0]
    hits = explorer.ask(text, method=AGAINST, k=5).hits
    assert hits.distances == pytest.approx(np.sort(distances)[:5], abs=2e-4)


def test_both_matrices_are_cached_and_an_interrupted_second_one_is_continued(files: Files):
    setup, cache = beside(files), Cache(files.cache)
    first = finish(open_(setup, cache))
    places = finish(locate(setup, cache)).second
    steps = open_second(first)
    for step in steps:
        if step.stage == "encoding captions" and step.done:
            break
    steps.close()
    assert unfinished_rows(places.matrix) is not None
    again = opened_with(files, setup).opened
    assert again.report.reused
    assert not again.second.report.reused
    assert opened_with(files, setup).opened.second.report.reused


def test_the_first_encoder_again_is_refused(files: Files):
    setup = beside(files, weights=files.weights)
    with pytest.raises(AssetError, match="is the first encoder, and also the second"):
        finish(open_(setup, Cache(files.cache)))


def test_vectors_of_another_width_are_refused_before_anything_is_encoded(files: Files):
    vectors = write_vectors(files.folder / "wide.vec", [*Tokenizer(2).marks, "dog"], dim=20)
    setup = beside(files, vectors=vectors)
    with pytest.raises(AssetError) as error:
        finish(open_(setup, Cache(files.cache)))
    assert "20 numbers" in error.value.found
    assert error.value.advice == "name the vectors that the weights were trained with: --against-vectors"
    assert not list(files.cache.glob("matrix/*"))


def test_errors_name_the_options_of_the_second_encoder(files: Files):
    embeddings = files.folder / "given.npy"
    np.save(embeddings, np.zeros((300, 4), np.float32))
    with pytest.raises(AssetError) as error:
        files.setup(embeddings=embeddings).with_second(files.weights, None)
    assert "--against-vectors" in error.value.advice
    about = AssetError("x", "y", advice="name --vectors, or the right version with --model-version").about_second()
    assert about.advice == "name --against-vectors"
    assert AssetError("x", "y", advice="see --model").about_second().advice == "see --against"


def test_random_needs_the_weights_whose_shapes_it_has(files: Files):
    embeddings = files.folder / "given.npy"
    np.save(embeddings, np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32))
    with pytest.raises(AssetError, match="without the encoder"):
        files.setup(embeddings=embeddings).with_second(RANDOM, None)


def test_given_embeddings_can_be_compared_with_an_encoder(files: Files):
    embeddings = files.folder / "given.npy"
    np.save(embeddings, np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32))
    setup = files.setup(embeddings=embeddings).with_second(files.weights, files.vectors)
    explorer = opened_with(files, setup)
    assert explorer.ask("a dog runs on the beach").found is None
    assert len(explorer.ask("a dog runs on the beach", method=AGAINST).hits) == 100


def test_agreement_counts_the_nearest_captions_that_both_find(files: Files):
    explorer = opened_with(files, beside(files))
    opened = explorer.opened
    agreed = finish(agree_on_nearest(opened.matrix, opened.second.matrix, device="cpu"))
    assert (np.diff(agreed.first) >= 0).all()
    for row, count in list(zip(agreed.rows.tolist(), agreed.first.tolist(), strict=True))[:: len(agreed.rows) // 7]:
        copies = opened.matrix.sentences.copies([row])[0]
        lists = []
        for each in (opened, opened.second):
            distances = cdist(each.matrix.rows[[row]].astype(float), each.matrix.rows.astype(float), "cosine")[0]
            distances[copies] = np.inf
            lists.append(set(np.argsort(distances, kind="stable")[:10].tolist()))
        assert count == pytest.approx(len(lists[0] & lists[1]), abs=1)
    same = finish(agree_on_nearest(opened.matrix, opened.matrix, device="cpu"))
    assert set(same.first.tolist()) == {10}


def test_the_calibration_measures_the_second_encoder_and_keeps_it_apart_from_another(
    files: Files, few_sources: None, monkeypatch
):
    setup = beside(files)
    opened = opened_with(files, setup).opened
    finish(opened.calibrate())
    assert opened.calibration.measures(AGAINST)
    alone = opened_with(files, files.setup()).opened
    assert alone.is_all_saved
    finish(alone.calibrate())
    assert not alone.calibration.measures(AGAINST), "it is of no encoder that is open"
    first = [cell.by_method["infersent"] for cell in alone.calibration.curve]
    assert [cell.by_method["infersent"] for cell in opened.calibration.curve] == first
    other = opened_with(files, files.setup().with_second(RANDOM, None))
    finish(other.opened.open_calibration())
    assert not other.opened.calibration.measures(AGAINST), "it is of another second encoder"
    assert not other.opened.is_all_saved
    reasons = other.ask("a dog runs on the beach", method=AGAINST).verdict.reasons
    assert "· how far random can be trusted is not measured yet" in reasons
    finish(other.opened.calibrate())
    assert other.opened.calibration.measures(AGAINST)
    said = other.ask("a dog runs on the beach", method=AGAINST).verdict.reasons[-1]
    assert "by random" in said
    again = opened_with(files, files.setup().with_second(RANDOM, None)).opened
    assert again.is_all_saved
    monkeypatch.setattr("core.opened.probe", lambda *parts, **more: pytest.fail("measured again"))
    finish(again.calibrate())


def test_hits_of_the_second_encoder_are_explained_by_it(files: Files):
    setup = beside(files)
    both, alone = opened_with(files, setup), Explorer(finish(open_(setup.second, Cache(files.cache))))
    text = "a dog is sitting on a red couch"
    answer = both.ask(text, method=AGAINST)
    row = int(answer.hits.rows[0])
    assert both.explainer.explain(answer, row).agreement == alone.explainer.explain(alone.ask(text), row).agreement
    assert both.explainer.explain(both.ask(text), row).agreement != both.explainer.explain(answer, row).agreement
    one, other = finish(both.explainer.feature(3, method=AGAINST)), finish(alone.explainer.feature(3))
    assert one.words == other.words


def test_stress_asks_the_second_encoder_too(files: Files):
    opened = opened_with(files, beside(files)).opened
    table = finish(
        stress_corpus(opened.matrix, opened.captions.texts, opened.rankers, opened.text_encoder, device="cpu")
    )
    assert list(table.figures["blank"]) == [*METHODS, AGAINST]
    assert table.figures["blank"][AGAINST].median_distance == pytest.approx(0, abs=1e-6)
    assert table.figures["noun"][AGAINST].median_distance > 0


def test_stress_leaves_out_what_the_second_encoder_knows_no_word_of(files: Files):
    vectors = write_vectors(
        files.folder / "few.vec", [*Tokenizer(2).marks, "dog", "dogs", "cat", "man", "woman"], seed=3
    )
    opened = opened_with(files, beside(files, vectors=vectors)).opened
    table = finish(
        stress_corpus(opened.matrix, opened.captions.texts, opened.rankers, opened.text_encoder, device="cpu")
    )
    moved = [figures[AGAINST].median_distance for figures in table.figures.values()]
    assert all(each is None or 0 <= each <= 2 for each in moved)
    assert table.figures["gender"][AGAINST].median_distance > 1e-3


def test_a_second_encoder_named_like_a_method_or_the_first_is_called_against(files: Files):
    for name in ("words.pkl", "weights.pkl"):
        folder = files.folder / "sub"
        folder.mkdir(exist_ok=True)
        weights = write_weights(folder / name, hidden=8, seed=5)
        opened = opened_with(files, beside(files, weights)).opened
        assert (opened.name_of(AGAINST), opened.name_of(AGAINST, short=True)) == ("against", "2nd")


def test_a_run_remembers_its_second_encoder(files: Files):
    document = Options(against=files.weights, against_vectors=files.vectors).document()
    assert Options().filled(document).against == files.weights
    assert Options(against=files.weights).document()["against"] == str(files.weights.resolve())
    assert Options().filled({"against": RANDOM}).against == Path(RANDOM)
    assert Options(against=Path(RANDOM)).document()["against"] == RANDOM
    assert Options(against=Path("/new.pkl")).filled(document).against_vectors is None, "they are of another encoder"
