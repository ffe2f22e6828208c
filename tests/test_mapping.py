"""The captions on planes: as a slow projection places them, computed once, kept beside the matrix, and finite."""

import numpy as np
import pytest
from conftest import Files, demo_texts, embedding_of

from core.explorer import Explorer
from core.mapping import Mapper
from core.ranking.axes import Axes, AxesError
from core.store.progress import finish

AXES = Axes(("a dog", "a cat"), ("one man", "a crowd of people"))

pytestmark = pytest.mark.opened


def rows_of(explorer: Explorer) -> np.ndarray:
    return explorer.opened.matrix.rows.astype(np.float64)  # (N, D)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)  # (D,)


def test_the_principal_plane_is_computed_once_and_kept(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = files.explorer()
    first = finish(explorer.mapper.principal())
    centred = rows_of(explorer) - rows_of(explorer).mean(axis=0)
    total = np.square(centred).sum()
    _, lengths, right = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(first.points), np.abs(centred @ right[:2].T), atol=2e-3)
    assert first.plane.held == pytest.approx(np.square(lengths[:2]).sum() / total, rel=0.01)
    assert finish(explorer.mapper.principal()) is first

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("core.mapping.principal_plane", fail)
    again = finish(files.explorer().mapper.principal())
    np.testing.assert_array_equal(again.points, first.points)
    np.testing.assert_array_equal(again.plane.axes, first.plane.axes)
    np.testing.assert_array_equal(again.plane.mean, first.plane.mean)
    assert (again.plane.shares, again.plane.held) == (first.plane.shares, first.plane.held)


def test_a_query_lies_where_its_caption_does_and_its_length_does_not_matter(files: Files) -> None:
    explorer = files.explorer()
    text, row = demo_texts(300)[7], explorer.opened.matrix.rows[7]
    encoded = encoding_of(explorer, text)
    assert np.linalg.norm(encoded) > 1.1
    for found in (finish(explorer.mapper.principal()), finish(explorer.mapper.between(AXES))):
        np.testing.assert_allclose(found.place(row), found.points[7], atol=1e-4)
        np.testing.assert_allclose(found.place(encoded), found.points[7], atol=2e-3)
        np.testing.assert_allclose(found.place(3 * encoded), found.place(encoded), atol=1e-6)


def encoding_of(explorer: Explorer, text: str) -> np.ndarray:
    """The embedding of a text, (D,), as the encoder gives it."""
    out = np.empty((1, explorer.opened.matrix.dim), np.float32)
    finish(explorer.opened.text_encoder.embed([text], out))
    return out[0]


def test_axes_by_meaning_are_the_differences_of_their_ends(files: Files) -> None:
    explorer = files.explorer()
    found = finish(explorer.mapper.between(AXES))
    rows = rows_of(explorer)
    axes = []
    for begin, end in (AXES.x, AXES.y):
        axis = unit(embedding_of(explorer, end)) - unit(embedding_of(explorer, begin))
        axes.append(axis / np.linalg.norm(axis))
    centred = rows - rows.mean(axis=0)
    np.testing.assert_allclose(found.points, centred @ np.array(axes).T, atol=1e-3)
    basis = np.linalg.qr(np.array(axes).T)[0]  # (D, 2), orthogonal
    held = np.square(centred @ basis).sum() / np.square(centred).sum()
    assert found.plane.held == pytest.approx(held, rel=0.01)
    assert 0 < found.plane.held < 1


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        (Axes(("a dog", "a dog"), ("a man", "a cat")), "the x axis begins where it ends"),
        (Axes(("a man", "a cat"), ("a dog", "a dog")), "the y axis begins where it ends"),
        (Axes(("a man", "a cat"), ("a cat", "a man")), "both axes have the same direction"),
        (Axes(("a man", "qwrtz"), ("a cat", "a man")), "no word of “qwrtz” is known"),
    ],
)
def test_axes_that_cannot_be_drawn_say_why(files: Files, axes: Axes, why: str) -> None:
    with pytest.raises(AxesError, match=why):
        finish(files.explorer().mapper.between(axes))


@pytest.mark.parametrize(
    "text", ["", "a > b", "a; b", "a > b; c", "a > b > c; d > e", " > b; c > d", "a > b; c > d; e > f"]
)
def test_what_are_no_two_axes_is_refused(text: str) -> None:
    with pytest.raises(AxesError, match="indoors > outdoors; one person > a crowd"):
        Axes.parse(text)


def test_axes_are_read_as_people_write_them() -> None:
    assert Axes.parse(" indoors>outdoors ;one person  > a crowd, at night") == Axes(
        ("indoors", "outdoors"), ("one person", "a crowd, at night")
    )


def test_a_sum_in_an_axis_is_a_text(files: Files) -> None:
    explorer = files.explorer()
    axes = Axes(("a dog - a cat", "a cat"), ("one man", "a crowd"))
    assert np.isfinite(finish(Mapper(explorer.opened, explorer.queries).between(axes)).points).all()
