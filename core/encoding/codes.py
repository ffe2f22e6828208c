"""RowCodes: each stored row in 8 bits a feature, with a proven bound on what that leaves out, for a quick first scan.

All rows share a direction u, their mean's. A unit row is x = (x·u) u + s c + r, with whole numbers c, -127..127, and
what remains, r; a unit query likewise q = (q·u) u + t d + p. Then

    q·x = (q·u)(x·u) + s t (c·d) + e,   |e| <= |q'| |r| + |p| s |c|,   q' = q - (q·u) u

where c·d is exact, being a sum of whole numbers, and everything else is one number a row.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.processor import multiplies_int8
from core.encoding.threads import in_slices
from core.store.progress import Progress, Steps
from core.store.whole import Origin, is_whole, make_folder

_FORMAT = 1  # version of the files, and of how they are computed
_FILES = ("codes", "direction", "along", "scales", "sizes", "lost")
_LARGEST = 127
_MEAN_OF = 4096  # rows, evenly drawn: any direction is right, one near the mean leaves out least
_AT_ONCE = 128  # rows: their float64 stays in the processor's cache
_BETWEEN_STEPS = 16_384  # rows between two reports of progress
_ROUNDING = 2.0**-20  # of the float32 numbers below and of the sums over them, 1e-7 each, and to spare


class Scan(NamedTuple):
    """What the codes say about one query."""

    similarities: NDArray[np.float64]
    """Cosine to every row, (N,), as far as the codes tell."""
    errors: NDArray[np.float64]
    """How far each can be from the true cosine, (N,)."""


class RowCodes(NamedTuple):
    """The codes of N unit rows."""

    codes: NDArray[np.int8]
    """c, (N, D)."""
    direction: NDArray[np.float64]
    """u, (D,), a unit vector; zeros where the rows share none."""
    along: NDArray[np.float32]
    """x·u, (N,)."""
    scales: NDArray[np.float32]
    """s, (N,)."""
    sizes: NDArray[np.float32]
    """s |c|, (N,)."""
    lost: NDArray[np.float32]
    """|r|, (N,)."""

    @staticmethod
    def supported() -> bool:
        """Whether the processor multiplies 8-bit numbers exactly and quickly: elsewhere they are not worth having."""
        return multiplies_int8()

    @classmethod
    def open(cls, folder: Path) -> RowCodes:
        """Open the codes of a folder, memory-mapped.

        Raises:
            OSError, EOFError, ValueError: They are not there or damaged.
        """
        if not is_whole(folder, _origin(folder)):
            raise FileNotFoundError(folder)
        # Copy-on-write, never written: torch takes no read-only arrays.
        codes = cls(np.load(folder / "codes.npy", mmap_mode="c"), *(np.load(folder / f"{x}.npy") for x in _FILES[1:]))
        n, dim = codes.codes.shape
        if [array.shape for array in codes[1:]] != [(dim,), (n,), (n,), (n,), (n,)]:
            raise ValueError("the arrays differ in length")
        return codes

    @classmethod
    def make(cls, folder: Path, rows: NDArray[np.float16]) -> Steps[None]:
        """Make the codes of rows in a folder of the matrix's, unless they are there.

        Args:
            folder: Their place, in the folder of the matrix that the rows belong to.
            rows: (N, D), about unit length.

        Raises:
            AssetError: They cannot be written.
        """
        yield from make_folder(
            *(folder, _origin(folder), lambda work: cls._write(work, rows)),
            doing="prepares the search",
            lock=folder.parent,
        )

    @classmethod
    def _write(cls, work: Path, rows: NDArray[np.float16]) -> Steps[None]:
        codes = np.lib.format.open_memmap(work / "codes.npy", mode="w+", dtype=np.int8, shape=rows.shape)
        made = cls.empty_like(rows, codes)
        for at in range(0, len(rows), _BETWEEN_STEPS):
            made.fill(rows, at, min(at + _BETWEEN_STEPS, len(rows)))
            yield Progress("preparing the search", at, len(rows), "captions")
        codes.flush()
        for name in _FILES[1:]:
            np.save(work / f"{name}.npy", getattr(made, name))

    @classmethod
    def of(cls, rows: NDArray[np.float16]) -> RowCodes:
        """The codes of rows (N, D), in memory."""
        made = cls.empty_like(rows, np.empty(rows.shape, np.int8))
        made.fill(rows, 0, len(rows))
        return made

    @classmethod
    def empty_like(cls, rows: NDArray[np.float16], codes: NDArray[np.int8]) -> RowCodes:
        """The direction that rows share, with room for the rest."""
        mean = rows[:: -(-len(rows) // _MEAN_OF)].mean(axis=0, dtype=np.float64)  # (D,)
        length = float(np.linalg.norm(mean))
        direction = mean / length if length > 1e-9 else np.zeros_like(mean)  # (D,)
        return cls(codes, direction, *(np.empty(len(rows), np.float32) for _ in range(4)))

    def fill(self, rows: NDArray[np.float16], start: int, end: int) -> None:
        """Compute the codes of rows[start:end]."""

        def code(first: int, last: int) -> None:
            for at in range(start + first, start + last, _AT_ONCE):
                part = slice(at, min(at + _AT_ONCE, start + last))
                self._code(torch.from_numpy(rows[part]).double(), part)

        in_slices(code, end - start)

    @torch.inference_mode()
    def _code(self, rows: torch.Tensor, part: slice) -> None:
        direction = torch.from_numpy(self.direction)
        rows = rows / rows.norm(dim=1, keepdim=True).clamp_(min=1e-9)  # (b, D)
        along = rows @ direction  # (b,)
        rest = rows.addr_(along, direction, alpha=-1)  # (b, D), across the direction
        scales = (rest.abs().amax(dim=1) / _LARGEST).float()  # (b,), rounded before it is used
        whole = (rest / scales.double().clamp(min=1e-30)[:, None]).round_().clamp_(-_LARGEST, _LARGEST)  # (b, D)
        self.codes[part] = whole.to(torch.int8).numpy()
        whole *= scales.double()[:, None]
        numbers = (along, scales, whole.norm(dim=1), rest.sub_(whole).norm(dim=1))
        for array, values in zip(self[2:], numbers, strict=True):
            array[part] = values.float().numpy()

    @torch.inference_mode()
    def scan(self, query: NDArray[np.float64]) -> Scan:
        """Compare a query of unit length, (D,), with every row."""
        along = float(query @ self.direction)
        across = query - along * self.direction  # (D,)
        scale = max(float(np.abs(across).max()) / _LARGEST, 1e-30)
        whole = np.rint(across / scale)  # (D,)
        column = torch.from_numpy(whole.astype(np.int8))[:, None]  # (D, 1)
        codes = torch.from_numpy(self.codes)
        products = in_slices(lambda start, end: torch._int_mm(codes[start:end], column)[:, 0].numpy(), len(codes))
        similarities = along * self.along.astype(np.float64) + scale * self.scales * np.concatenate(products)
        errors = np.linalg.norm(across) * self.lost + float(np.linalg.norm(across - scale * whole)) * self.sizes
        return Scan(similarities, errors + _ROUNDING)


def _origin(folder: Path) -> Origin:
    return Origin(folder.parent.name, _FORMAT, "rows in 8 bits")
