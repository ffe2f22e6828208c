"""Mapping: the captions on a plane, to be looked at, and the regions into which they fall."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from core.opened import Opened
from core.queries import Queries
from core.ranking.arithmetic import quoted
from core.ranking.axes import Axes, AxesError
from core.ranking.projection import Plane, plane_between, principal_plane, project
from core.ranking.ranking import direction
from core.ranking.regions import Region, Regions, find_regions
from core.store.progress import Resumable, Steps
from core.store.whole import Origin, is_whole, make_folder, unseal

_FORMAT = 2  # version of the files, and of how they are computed
_ABOUT = "regions.json"
_DAMAGE = (EOFError, ValueError, KeyError, IndexError, TypeError, RecursionError, BadZipFile)
_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True, eq=False)
class CorpusMap:
    """N captions on a plane."""

    plane: Plane
    points: NDArray[np.float32]
    """Coordinates, (N, 2), finite."""
    axes: Axes | None = None
    """None for the principal plane."""
    rows: NDArray[np.int64] | None = None
    """Rows of the captions, ascending, (N,), where they are the sample of a store; None where they are all captions."""
    embeddings: Any = None
    """The embeddings of all captions by row; None where `points` has all captions."""

    def row_of(self, number: int) -> int:
        """Return the row of the caption of a point."""
        return number if self.rows is None else int(self.rows[number])

    def number_of(self, row: int) -> int | None:
        """Return the number of a caption's point; None for a caption that is not of the sample."""
        if self.rows is None:
            return row
        number = int(self.rows.searchsorted(row))
        return number if number < len(self.rows) and self.rows[number] == row else None

    def places(self, rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """Return where captions lie, also those that are not of the sample, (n, 2)."""
        wanted = np.array(rows, np.int64)  # (n,)
        if self.rows is None:
            return np.asarray(self.points[wanted])
        numbers = [self.number_of(row) for row in wanted.tolist()]
        places = np.array([np.zeros(2, np.float32) if each is None else self.points[each] for each in numbers])
        others = np.flatnonzero([each is None for each in numbers])  # (m,)
        if len(others):
            places[others] = self.plane.place(np.asarray(self.embeddings[wanted[others]], np.float32))
        return places.reshape(-1, 2)

    def place(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return where an embedding of any length but 0, (D,), lies among the captions, (2,)."""
        placed: NDArray[np.float32] = self.plane.place(direction(embedding)[None])[0]
        return placed


class Mapper:
    """Places the captions in memory of an opened corpus on planes, and divides them into regions.

    What is computed once is kept beside the matrix; if it is stopped, it goes on where it was when it is asked again.
    """

    def __init__(self, opened: Opened, queries: Queries) -> None:
        self._opened, self._queries = opened, queries
        self._principal, self._regions = Resumable(self._find_principal), Resumable(self._find_regions)
        self._known: Regions | None = None  # as read

    def principal(self) -> Steps[CorpusMap]:
        """Place the captions on the principal plane, unless that was done before.

        Raises:
            AssetError: The cache cannot be written.
        """
        return self._principal.run()

    def regions(self) -> Steps[Regions]:
        """Divide the captions into regions, unless that was done before.

        Raises:
            AssetError: The cache cannot be written.
        """
        if self.known_regions() is None:
            yield from self._opened.open_methods()  # whose index the names come from; it holds a lock meanwhile
        return (yield from self._regions.run())

    def known_regions(self) -> Regions | None:
        """Return the regions if they were found before, also by an earlier run; None if not, or if they are damaged."""
        if self._known is None:
            self._known = self._kept("regions", lambda folder: _read_regions(folder, len(self._opened.sample.matrix)))
        return self._known

    def between(self, axes: Axes) -> Steps[CorpusMap]:
        """Place the captions on the plane of two axes.

        Raises:
            AxesError: There is no encoder, no word of a phrase is known, an axis begins where it ends, or both have the
                same direction.
        """
        if not self._opened.text_encoder.can_encode:
            raise AxesError("axes need the encoder, and these embeddings came without it")
        ends = np.stack([np.stack([self._embedding(text) for text in pair]) for pair in (axes.x, axes.y)])  # (2, 2, D)
        matrix = self._opened.sample.matrix
        try:
            plane = yield from plane_between(matrix.rows, ends, leave_out=matrix.sentences.wordless())
        except ValueError as error:
            raise AxesError(str(error)) from error
        return self._map(plane, (yield from _placed(matrix.rows, plane)), axes)

    def _embedding(self, text: str) -> NDArray[np.float32]:
        """Return the unit embedding of a phrase, (D,)."""
        embedding = self._queries.of_text(quoted(text)).embedding
        if embedding is None:
            raise AxesError(f"no word of “{text}” is known")
        return direction(embedding)

    def _find_principal(self) -> Steps[CorpusMap]:
        matrix = self._opened.sample.matrix
        if (kept := self._kept("plane", lambda folder: _read_map(folder, *matrix.rows.shape))) is not None:
            return self._map(*kept)
        plane = yield from principal_plane(matrix.rows, leave_out=matrix.sentences.wordless())
        points = yield from _placed(matrix.rows, plane)
        shares = np.array([*plane.shares, plane.held])
        arrays = {"points": points, "axes": np.vstack([plane.mean, plane.axes]), "shares": shares}
        yield from self._keep("plane", arrays)
        return self._map(plane, points)

    def _map(self, plane: Plane, points: NDArray[np.float32], axes: Axes | None = None) -> CorpusMap:
        rows = self._opened.sample.rows
        return CorpusMap(plane, points, axes, rows, None if rows is None else self._opened.matrix.rows)

    def _find_regions(self) -> Steps[Regions]:
        if (known := self.known_regions()) is not None:
            return known
        sample, rankers = self._opened.sample, self._opened.rankers
        assert rankers is not None
        bm25, leave_out = rankers.lexical.bm25, sample.matrix.sentences.wordless()
        found = yield from find_regions(sample.matrix.rows, sample.captions.texts, bm25, leave_out=leave_out)
        about = json.dumps({"regions": [asdict(each) for each in found.regions], "held": found.held})
        yield from self._keep("regions", {"of": found.of}, about)
        self._known = found
        return found

    def _place(self, name: str) -> tuple[Path, Origin]:
        """Return where something is kept, and what it is made from."""
        folder = self._opened.sample.matrix.folder / name
        return folder, Origin(folder.parent.name, _FORMAT, name)

    def _kept(self, name: str, read: Callable[[Path], _Kept]) -> _Kept | None:
        """Read what an earlier run kept; None where it kept nothing, or where that cannot be read or is damaged."""
        folder, origin = self._place(name)
        with suppress(OSError):
            if is_whole(folder, origin):
                try:
                    return read(folder)
                except _DAMAGE:
                    unseal(folder)
        return None

    def _keep(self, name: str, arrays: dict[str, NDArray[Any]], about: str = "") -> Steps[None]:
        """Write arrays, and values in JSON, in one step: the folder's lock is not held while other work goes on."""

        def write(work: Path) -> Steps[None]:
            for file, array in arrays.items():
                np.save(work / f"{file}.npy", array)
            if about:
                (work / _ABOUT).write_text(about, encoding="utf-8")
            return
            yield

        folder, origin = self._place(name)
        yield from make_folder(folder, origin, write, doing="maps these captions", lock=folder.parent)


def _read_map(folder: Path, n: int, dim: int) -> tuple[Plane, NDArray[np.float32]]:
    """Read the places of N captions, with embeddings of D numbers, on the principal plane.

    Raises:
        ValueError: The files cannot be theirs; damaged ones may raise the other errors of `_DAMAGE`, too.
    """
    axes, shares, points = (np.load(folder / f"{name}.npy") for name in ("axes", "shares", "points"))
    shapes = (axes.shape, shares.shape, points.shape)
    if shapes != ((3, dim), (3,), (n, 2)) or not all(np.isfinite(each).all() for each in (axes, shares, points)):
        raise ValueError("the principal plane is damaged")
    x, y, held = shares.tolist()
    return Plane(axes[0], axes[1:], (x, y), held), points


def _read_regions(folder: Path, n: int) -> Regions:
    """Read the regions of N captions.

    Raises:
        ValueError: The files cannot be theirs; damaged ones may raise the other errors of `_DAMAGE`, too.
    """
    of, about = np.load(folder / "of.npy"), json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    regions = tuple(Region(**each | {"words": tuple(map(str, each["words"]))}) for each in about["regions"])
    numbers, k = [each.number for each in regions], len(regions)
    is_sound = of.dtype.kind == "i" and of.shape == (n,) and 0 <= of.min(initial=0) <= of.max(initial=0) <= k
    captions = [each.captions for each in regions]
    if not is_sound or numbers != list(range(1, k + 1)) or captions != np.bincount(of, minlength=k + 1)[1:].tolist():
        raise ValueError("the regions are damaged")
    if any(type(each.central) is not int or of[each.central] != each.number for each in regions):
        raise ValueError("their middles are damaged")
    return Regions(of, regions, float(about["held"]))


def _placed(rows: NDArray[np.float16], plane: Plane) -> Steps[NDArray[np.float32]]:
    """Return the coordinates of unit rows, (N, D), on a plane; (N, 2)."""
    return (yield from project(rows, plane.mean, plane.axes, doing="placing captions"))
