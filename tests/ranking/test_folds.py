"""Folding: which hits stand for which."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.corpus.captions import Captions
from core.ranking.folds import Folds


def folds_of(texts, images=None):
    groups = None if images is None else np.array(images)
    return Folds(Captions("", texts, np.arange(len(texts)), groups, {}, {}))


def ranked(*rows):
    return np.array(rows, np.int32)


def test_equal_texts_are_shown_once_where_the_nearest_stands():
    fold = folds_of(["a", "b", "a", "c", "a"]).fold(ranked(3, 4, 1, 0, 2)).texts
    assert fold.places.tolist() == [0, 1, 2]
    assert fold.line_of.tolist() == [0, 1, 2, 1, 1]


def test_an_image_is_shown_once_at_its_nearest_caption():
    fold = folds_of(["a", "b", "c", "d"], [7, 8, 7, 8]).fold(ranked(1, 2, 3, 0)).images
    assert fold.places.tolist() == [0, 1]
    assert fold.line_of.tolist() == [0, 1, 0, 1]


def test_two_images_whose_nearest_captions_are_equal_share_a_line():
    fold = folds_of(["a", "b", "a", "c"], [7, 7, 8, 8]).fold(ranked(0, 2, 1, 3)).images
    assert fold.places.tolist() == [0]
    assert fold.line_of.tolist() == [0, 0, 0, 0]


def test_captions_without_images_have_only_texts_to_fold():
    folds = folds_of(["a", "a"])
    assert folds.fold(ranked(0, 1)).images is None
    assert folds.sibling_counts is None


def test_copies_and_siblings_are_counted_in_the_whole_corpus():
    folds = folds_of(["a", "b", "a", "a"], ["x", "x", "y", "x"])
    assert folds.copies.tolist() == [3, 1, 3, 3]
    assert folds.sibling_counts.tolist() == [2, 2, 0, 2]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=30), st.randoms(use_true_random=False))
def test_folding_equals_walking_down_the_list(captions, random):
    texts, images = [str(text) for text, _ in captions], [image for _, image in captions]
    rows = random.sample(range(len(captions)), random.randint(0, len(captions)))
    folding = folds_of(texts, images).fold(ranked(*rows))
    seen_texts, by_text, seen_images, by_image, in_images = [], [], {}, [], []
    for place, row in enumerate(rows):
        if texts[row] not in seen_texts:
            seen_texts.append(texts[row])
            by_text.append(place)
        if images[row] not in seen_images:
            if texts[row] not in in_images:
                in_images.append(texts[row])
                by_image.append(place)
            seen_images[images[row]] = in_images.index(texts[row])
    assert folding.texts.places.tolist() == by_text
    assert folding.texts.line_of.tolist() == [seen_texts.index(texts[row]) for row in rows]
    assert folding.images.places.tolist() == by_image
    assert folding.images.line_of.tolist() == [seen_images[images[row]] for row in rows]
    for fold in (folding.texts, folding.images):
        np.testing.assert_array_equal(fold.line_of[fold.places], np.arange(len(fold.places)))
