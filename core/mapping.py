"""Mapping: the captions on a plane, to be looked at, and the regions into which they fall."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.opened import Opened
from core.queries import Queries
from core.ranking.arithmetic import quoted
from core.ranking.axes import Axes, AxesError
from core.ranking.projection import Plane, plane_between, principal_plane, project
from core.ranking.regions import Region, Regions, find_regions
from core.store.progress import Progress, Steps
from core.store.whole import Origin, is_whole, make_folder, unseal

_FORMAT = 1  # version of the files, and of how they are computed


@dataclass(frozen=True, slots=True, eq=False)
class CorpusMap:
    """N captions on a plane."""

    plane: Plane
    points: NDArray[np.float32]
    """Coordinates, (N, 2), finite."""
    axes: Axes | None = None
    """None for the principal plane."""


class Mapper:
    """Places the captions of an opened corpus on planes, and divides them into regions."""

    def __init__(self, opened: Opened, queries: Queries) -> None:
        self._opened, self._queries = opened, queries
        self._principal: CorpusMap | None = None
        self._regions: Regions | None = None

    def principal(self) -> Steps[CorpusMap]:
        """Place the captions on the principal plane, unless that was done before.

        Raises:
            AssetError: The cache cannot be written.
        """
        if self._principal is None:
            folder = self._opened.matrix.folder / "plane"
            origin = Origin(folder.parent.name, _FORMAT, "plane")
            yield from make_folder(folder, origin, self._write, doing="maps these captions", lock=folder.parent)
            mean, x, y = np.load(folder / "axes.npy")  # (D,) each
            *shares, held = np.load(folder / "shares.npy").tolist()
            plane = Plane(mean, np.stack([x, y]), (shares[0], shares[1]), held)
            self._principal = CorpusMap(plane, np.load(folder / "points.npy"))
        return self._principal

    def between(self, axes: Axes) -> Steps[CorpusMap]:
        """Place the captions on the plane of two axes.

        Raises:
            AxesError: There is no encoder, no word of a phrase is known, an axis begins where it ends, or both have the
                same direction.
        """
        if not self._opened.text_encoder.can_encode:
            raise AxesError("axes need the encoder, and these embeddings came without it")
        ends = np.stack([np.stack([self._embedding(text) for text in pair]) for pair in (axes.x, axes.y)])  # (2, 2, D)
        matrix = self._opened.matrix
        yield Progress("measuring the axes", 0, 0, "")
        try:
            plane = plane_between(matrix.rows, ends, leave_out=matrix.sentences.wordless())
        except ValueError as error:
            raise AxesError(str(error)) from error
        return CorpusMap(plane, (yield from _place(matrix.rows, plane)), axes)

    def regions(self) -> Steps[Regions]:
        """Divide the captions into regions, unless that was done before.

        Raises:
            AssetError: The cache cannot be written.
        """
        if self.known_regions() is None:
            yield from self._opened.open_methods()  # whose index the names come from
            folder, origin = self._regions_place()
            yield from make_folder(
                folder, origin, self._write_regions, doing="divides these captions", lock=folder.parent
            )
            self._regions = _read_regions(folder)
        assert self._regions is not None
        return self._regions

    def known_regions(self) -> Regions | None:
        """Return the regions if they were found before, also by an earlier run; else None."""
        folder, origin = self._regions_place()
        if self._regions is None and is_whole(folder, origin):
            try:
                self._regions = _read_regions(folder)
            except (ValueError, KeyError, TypeError):  # damaged
                unseal(folder)
        return self._regions

    def _regions_place(self) -> tuple[Path, Origin]:
        folder = self._opened.matrix.folder / "regions"
        return folder, Origin(folder.parent.name, _FORMAT, "regions")

    def _embedding(self, text: str) -> NDArray[np.float32]:
        """Return the embedding of a phrase, (D,)."""
        embedding = self._queries.of_text(quoted(text)).embedding
        if embedding is None:
            raise AxesError(f"no word of “{text}” is known")
        return embedding

    def _write(self, folder: Path) -> Steps[None]:
        matrix = self._opened.matrix
        yield Progress("looking for the principal plane", 0, 0, "")
        plane = principal_plane(matrix.rows, leave_out=matrix.sentences.wordless())
        np.save(folder / "points.npy", (yield from _place(matrix.rows, plane)))
        np.save(folder / "axes.npy", np.vstack([plane.mean, plane.axes]))
        np.save(folder / "shares.npy", [*plane.shares, plane.held])

    def _write_regions(self, folder: Path) -> Steps[None]:
        matrix, bm25 = self._opened.matrix, (yield from self._opened.open_methods()).lexical.bm25
        leave_out = matrix.sentences.wordless()
        found = yield from find_regions(matrix.rows, self._opened.captions.texts, bm25, leave_out=leave_out)
        np.save(folder / "of.npy", found.of)
        (folder / "regions.json").write_text(json.dumps([asdict(each) for each in found.regions]), encoding="utf-8")


def _read_regions(folder: Path) -> Regions:
    regions = json.loads((folder / "regions.json").read_text(encoding="utf-8"))
    return Regions(
        np.load(folder / "of.npy"), tuple(Region(**each | {"words": tuple(each["words"])}) for each in regions)
    )


def _place(rows: NDArray[np.float16], plane: Plane) -> Steps[NDArray[np.float32]]:
    """Return the coordinates of unit rows, (N, D), on a plane; (N, 2)."""
    return (yield from project(rows, plane.mean, plane.axes, doing="placing captions"))
