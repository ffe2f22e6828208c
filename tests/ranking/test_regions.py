"""Regions are the parts that lie together, named by what their captions say and others do not."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import Files, demo_texts
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from core.ranking.lexical import BM25
from core.ranking.regions import Regions, find_regions
from core.store.progress import finish

NONE = np.empty(0, int)
SUBJECTS = {
    "skateboarder": "A skateboarder does a trick on the ramp.",
    "giraffe": "Two giraffes eat leaves of a tall tree.",
    "pizza": "A pizza with cheese on a plate.",
    "train": "An old train at the platform of a station.",
}
SIZES = [40, 30, 20, 10]


def index(folder: Path, texts: list[str]) -> BM25:
    folder.mkdir(exist_ok=True)
    BM25.build(folder / "bm25", texts)
    return BM25(folder / "bm25")


def apart(seed: int = 0) -> tuple[NDArray[np.float16], list[str], NDArray[np.int64]]:
    """Return unit rows in four places far apart, (100, 32), their captions, and where each belongs, (100,)."""
    rng = np.random.default_rng(seed)
    belongs = rng.permutation(np.repeat(np.arange(4), SIZES))  # (100,)
    rows = rng.normal(size=(4, 32))[belongs] + 0.1 * rng.normal(size=(100, 32)) + 2
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16), [list(SUBJECTS.values())[each] for each in belongs], belongs


def divided(folder: Path, rows: NDArray[np.float16], texts: list[str], **how: object) -> Regions:
    how.setdefault("leave_out", NONE)
    return finish(find_regions(rows, texts, index(folder, texts), **how))  # type: ignore[arg-type]


def test_captions_that_lie_together_are_a_region_and_the_largest_is_the_first(tmp_path: Path) -> None:
    rows, texts, belongs = apart()
    found = divided(tmp_path, rows, texts, most=4)
    np.testing.assert_array_equal(found.of, belongs + 1)
    assert [each.captions for each in found.regions] == SIZES
    for region, subject in zip(found.regions, SUBJECTS, strict=True):
        text = SUBJECTS[subject].lower()
        assert len(region.words) == 3
        assert all(word in text for word in region.words), "whole words, not stems"


def test_a_name_has_the_stems_of_greatest_weight_as_a_slow_count_finds_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows, _, belongs = apart()
    words = ["red", "green", "blue", "small", "large", "round"]
    odds = rng.dirichlet(np.ones(6), size=4)
    texts = [" ".join(dict.fromkeys(rng.choice(words, 4, p=odds[each]))) for each in belongs]
    found = divided(tmp_path, rows, texts, most=4)
    counts = [Counter[str]() for _ in range(4)]
    for text, each in zip(texts, belongs, strict=True):
        counts[each].update(text.split())
    total = sum(counts, Counter[str]())
    average = sum(total.values()) / 4
    for region, own in zip(found.regions, counts, strict=True):
        weights = {word: own[word] / sum(own.values()) * math.log(1 + average / total[word]) for word in own}
        assert list(region.words) == sorted(weights, key=weights.__getitem__, reverse=True)[:3]


def test_the_central_caption_is_the_nearest_to_the_mean_by_cosine(tmp_path: Path) -> None:
    rows, texts, belongs = apart()
    for number, region in enumerate(divided(tmp_path, rows, texts, most=4).regions):
        own = np.flatnonzero(belongs == number)
        distances = cdist(rows[own].astype(float).mean(axis=0)[None], rows[own].astype(float), "cosine")[0]
        assert distances[own == region.central] == pytest.approx(distances.min(), abs=1e-5)


def test_the_share_of_the_variance_between_regions_is_that_of_their_means(tmp_path: Path) -> None:
    rows, texts, belongs = apart()
    wide = rows.astype(np.float64)
    means = np.stack([wide[belongs == each].mean(axis=0) for each in range(4)])[belongs]  # (100, 32)
    share = np.square(means - wide.mean(axis=0)).sum() / np.square(wide - wide.mean(axis=0)).sum()
    assert divided(tmp_path, rows, texts, most=4).held == pytest.approx(share, rel=1e-3)
    assert divided(tmp_path / "equal", np.full((9, 8), 0.35, np.float16), ["a dog"] * 9).held == 0


def test_numbers_are_no_names(tmp_path: Path) -> None:
    rows, _, belongs = apart()
    found = divided(tmp_path, rows, [f"{17 + each} dogs 4711 run" for each in belongs], most=4)
    assert not any(word.isnumeric() for each in found.regions for word in each.words)


def test_regions_are_the_same_again(tmp_path: Path) -> None:
    rows, texts, _ = apart()
    one, other = (divided(tmp_path / str(run), rows, texts) for run in range(2))
    np.testing.assert_array_equal(one.of, other.of)
    assert one.regions == other.regions


def test_captions_without_a_known_word_belong_to_no_region(tmp_path: Path) -> None:
    rows, texts, belongs = apart()
    out = np.arange(0, 100, 7)
    found = divided(tmp_path, rows, texts, leave_out=out, most=4)
    assert not found.of[out].any()
    assert sum(each.captions for each in found.regions) == 100 - len(out)
    rest = np.setdiff1d(np.arange(100), out)
    np.testing.assert_array_equal(np.unique(found.of[rest]), [1, 2, 3, 4])
    assert not divided(tmp_path / "none", rows, texts, leave_out=np.arange(100)).regions
    assert len({(each, number) for each, number in zip(belongs[rest], found.of[rest], strict=True)}) == 4


@pytest.mark.parametrize("n", [1, 2, 3, 60])
def test_few_or_equal_captions_are_one_region(tmp_path: Path, n: int) -> None:
    found = divided(tmp_path, np.full((n, 8), 0.35, np.float16), ["a dog"] * n)
    assert [(each.number, each.captions) for each in found.regions] == [(1, n)]
    assert (found.of == 1).all()


def test_texts_without_a_stem_leave_their_region_without_words(tmp_path: Path) -> None:
    rows, _, _ = apart()
    found = divided(tmp_path, rows, ["the"] * 100, most=4)
    assert {each.words for each in found.regions} == {()}
    assert found.regions[0].name == "without words of its own"


@pytest.mark.opened
def test_regions_are_found_once_and_kept(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = files.explorer()
    assert explorer.mapper.known_regions() is None
    first = finish(explorer.mapper.regions())
    assert 1 < len(first.regions) <= 12
    assert sum(each.captions for each in first.regions) == 300
    for each in first.regions:
        texts = " ".join(demo_texts(300)[row] for row in np.flatnonzero(first.of == each.number)).lower()
        assert all(word in texts for word in each.words)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("found again")

    monkeypatch.setattr("core.mapping.find_regions", fail)
    again = files.explorer().mapper
    known = again.known_regions()
    assert known is not None
    np.testing.assert_array_equal(known.of, first.of)
    assert known.regions == first.regions == finish(again.regions()).regions
