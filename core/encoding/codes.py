"""RowCodes: stored rows quantized to 8 bits per feature, with a proven error bound, for a fast first scan.

Let u be the direction of the rows' mean. A unit row is x = (x·u) u + s c + r, with integers c in -127..127 and a
remainder r; likewise, a unit query is q = (q·u) u + t d + p. Then

    q·x = (q·u)(x·u) + s t (c·d) + e,   |e| <= |q'| |r| + |p| s |c|,   q' = q - (q·u) u

where c·d is computed exactly, as a sum of integers, and every other term needs one stored number per row.
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
from core.store.whole import Origin, is_whole, make_folder, new_array

_FORMAT = 1  # version of the files and of how they are computed
_FILES = ("codes", "direction", "along", "scales", "sizes", "lost")
_MAX_CODE = 127
_MEAN_ROWS = 4096  # evenly spaced rows; any u is correct, one near the mean gives small remainders
_BLOCK_ROWS = 128  # rows coded together: as float64 they fit the processor's cache
_ROWS_PER_STEP = 16_384  # rows between two progress reports
_ROUNDING = 2.0**-20  # rounding errors of the float32 numbers below and their sums: about 1e-7 each, with a margin


class Scan(NamedTuple):
    """The approximate cosines of one query, with error bounds."""

    similarities: NDArray[np.float64]
    """Approximate cosine to every row, (N,)."""
    errors: NDArray[np.float64]
    """Upper bound on the absolute error of each, (N,)."""


class RowCodes(NamedTuple):
    """The codes of N unit rows."""

    codes: NDArray[np.int8]
    """c, (N, D)."""
    direction: NDArray[np.float64]
    """u, (D,), a unit vector; zeros when the mean is 0."""
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
        """Tell whether the processor multiplies 8-bit integers exactly and fast; elsewhere codes save no time."""
        return multiplies_int8()

    @classmethod
    def open(cls, folder: Path) -> RowCodes:
        """Open the codes in a folder, memory-mapped.

        Raises:
            OSError, EOFError, ValueError: The codes are missing or damaged.
        """
        if not is_whole(folder, _origin(folder)):
            raise FileNotFoundError(folder)
        # Copy-on-write, though never written, because torch does not support read-only arrays.
        codes = cls(np.load(folder / "codes.npy", mmap_mode="c"), *(np.load(folder / f"{x}.npy") for x in _FILES[1:]))
        n, dim = codes.codes.shape
        if [array.shape for array in codes[1:]] != [(dim,), (n,), (n,), (n,), (n,)]:
            raise ValueError("the arrays differ in length")
        return codes

    @classmethod
    def make(cls, folder: Path, rows: NDArray[np.float16]) -> Steps[None]:
        """Make the codes of a matrix's rows in a folder, unless they exist.

        Args:
            folder: Folder for the codes, inside the matrix's folder.
            rows: The stored rows, (N, D), of about unit length.

        Raises:
            AssetError: The codes cannot be written.
        """
        yield from make_folder(
            *(folder, _origin(folder), lambda work: cls._write(work, rows)),
            doing="prepares the search",
            lock=folder.parent,
        )

    @classmethod
    def _write(cls, work: Path, rows: NDArray[np.float16]) -> Steps[None]:
        codes = new_array(work / "codes.npy", rows.shape, "i1")  # (N, D)
        made = cls.empty_like(rows, codes)
        for start in range(0, len(rows), _ROWS_PER_STEP):
            made.fill(rows, start, min(start + _ROWS_PER_STEP, len(rows)))
            yield Progress("preparing the search", start, len(rows), "captions")
        codes.flush()
        for name in _FILES[1:]:
            np.save(work / f"{name}.npy", getattr(made, name))

    @classmethod
    def of(cls, rows: NDArray[np.float16]) -> RowCodes:
        """Compute the codes of rows (N, D) in memory."""
        made = cls.empty_like(rows, np.empty(rows.shape, np.int8))
        made.fill(rows, 0, len(rows))
        return made

    @classmethod
    def empty_like(cls, rows: NDArray[np.float16], codes: NDArray[np.int8]) -> RowCodes:
        """Compute the direction u of rows (N, D) and allocate the other arrays."""
        mean = rows[:: -(-len(rows) // _MEAN_ROWS)].mean(axis=0, dtype=np.float64)  # (D,)
        length = float(np.linalg.norm(mean))
        direction = mean / length if length > 1e-9 else np.zeros_like(mean)  # (D,)
        return cls(codes, direction, *(np.empty(len(rows), np.float32) for _ in range(4)))

    def fill(self, rows: NDArray[np.float16], start: int, end: int) -> None:
        """Compute the codes of rows[start:end]."""

        def code(first: int, last: int) -> None:
            for at in range(start + first, start + last, _BLOCK_ROWS):
                part = slice(at, min(at + _BLOCK_ROWS, start + last))
                self._code(torch.from_numpy(rows[part]).double(), part)

        in_slices(code, end - start)

    @torch.inference_mode()
    def _code(self, rows: torch.Tensor, part: slice) -> None:
        direction = torch.from_numpy(self.direction)  # (D,)
        rows = rows / rows.norm(dim=1, keepdim=True).clamp_(min=1e-9)  # (b, D)
        along = rows @ direction  # (b,)
        rest = rows.addr_(along, direction, alpha=-1)  # (b, D), orthogonal to u
        scales = (rest.abs().amax(dim=1) / _MAX_CODE).float()  # (b,), rounded to float32 before use
        coded = (rest / scales.double().clamp(min=1e-30)[:, None]).round_().clamp_(-_MAX_CODE, _MAX_CODE)  # (b, D)
        self.codes[part] = coded.to(torch.int8).numpy()
        coded *= scales.double()[:, None]  # (b, D), s c
        numbers = (along, scales, coded.norm(dim=1), rest.sub_(coded).norm(dim=1))  # (b,) each
        for array, values in zip(self[2:], numbers, strict=True):
            array[part] = values.float().numpy()

    @torch.inference_mode()
    def scan(self, query: NDArray[np.float64]) -> Scan:
        """Approximate the cosine of a unit query (D,) to every row."""
        along = float(query @ self.direction)
        rest = query - along * self.direction  # (D,), orthogonal to u
        scale = max(float(np.abs(rest).max()) / _MAX_CODE, 1e-30)
        coded = np.rint(rest / scale)  # (D,)
        column = torch.from_numpy(coded.astype(np.int8))[:, None]  # (D, 1)
        codes = torch.from_numpy(self.codes)  # (N, D)
        products = in_slices(lambda start, end: torch._int_mm(codes[start:end], column)[:, 0].numpy(), len(codes))
        similarities = along * self.along.astype(np.float64) + scale * self.scales * np.concatenate(products)  # (N,)
        errors = np.linalg.norm(rest) * self.lost + float(np.linalg.norm(rest - scale * coded)) * self.sizes  # (N,)
        return Scan(similarities, errors + _ROUNDING)


def _origin(folder: Path) -> Origin:
    return Origin(folder.parent.name, _FORMAT, "rows in 8 bits")
