"""Captions of the same image belong together, those without an image to nobody."""

import numpy as np
import pytest

from core.corpus.captions import Captions
from core.corpus.images import Images
from core.ranking.folds import Folds


def test_captions_with_the_same_group_are_of_one_image():
    images = Images(np.array([7, 3, 7, 5]))
    assert images.of.tolist() == [2, 0, 2, 1]
    assert images.sizes.tolist() == [1, 1, 2]
    assert [images.captions(image).tolist() for image in range(3)] == [[1], [3], [0, 2]]
    assert images.have_siblings().tolist() == [True, False, True, False]


def test_captions_without_a_group_are_each_alone():
    images = Images(np.array(["12", "", "7", "", "12", ""]))
    assert len(set(images.of[[1, 3, 5]].tolist())) == 3
    assert images.of[0] == images.of[4]
    assert sorted(images.sizes.tolist()) == [1, 1, 1, 1, 2]
    assert images.have_siblings().tolist() == [True, False, False, False, True, False]


def test_a_text_that_stands_twice_in_an_image_counts_once_there():
    images = Images(np.array([7, 7, 7, 5, 5, 7]), texts=np.array([0, 1, 0, 0, 0, 2]), leave_out=np.array([5]))
    assert images.repeated.tolist() == [False, False, True, False, True, False]
    assert images.counted.tolist() == [True, True, False, True, False, False]
    assert images.sizes.tolist() == [1, 2]
    assert images.captions(1).tolist() == [0, 1]
    assert images.have_siblings().tolist() == [True, True, True, False, False, True]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_rows_of_a_table_without_an_image_are_not_folded_together(tmp_path, ending):
    rows = [("1", "a dog"), ("", "a kite"), ("1", "the dog"), ("", "a boat")]
    path = tmp_path / f"captions{ending}"
    if ending == ".csv":
        path.write_text("image_id,caption\n" + "".join(f"{image},{text}\n" for image, text in rows))
    else:
        lines = [f'{{"image_id": {image or "null"}, "caption": "{text}"}}\n' for image, text in rows]
        path.write_text("".join(lines))
    captions = Captions.read(path)
    folds = Folds(captions)
    assert folds.sibling_counts.tolist() == [1, 0, 1, 0]
    assert folds.fold(np.arange(4, dtype=np.int32)).images.places.tolist() == [0, 1, 3]
    assert captions.group(1) is captions.group(3) is None
