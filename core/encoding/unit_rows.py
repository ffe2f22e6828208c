"""UnitRows: embeddings divided by their lengths, in the form in which a matrix stores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray

_ROWS_PER_STEP = 512  # rows of float64 numbers in memory together


class UnitRows(NamedTuple):
    """Embeddings as they are stored."""

    rows: torch.Tensor
    """Embeddings divided by their lengths, (B, D), float16."""
    norms: torch.Tensor
    """Lengths before the division, (B,), float32."""
    row_norms: torch.Tensor
    """Lengths of `rows`, near 1, (B,), float32; 1 for an embedding of zeros, which then has the cosine 0 to all."""

    @classmethod
    def of(cls, embeddings: torch.Tensor) -> UnitRows:
        """Divide embeddings, (B, D), by their lengths in float64; an embedding of zeros stays one.

        A GPU with too little memory leaves it to the CPU.

        Raises:
            torch.OutOfMemoryError: The CPU has too little memory, too.
        """
        try:
            return _unit_rows(embeddings)
        except torch.OutOfMemoryError:
            if embeddings.device.type == "cpu":
                raise
        return _unit_rows(embeddings.cpu())  # outside `except`, whose traceback keeps the tensors alive

    def start_fetching(self) -> Callable[[], list[NDArray[Any]]]:
        """Start to copy the three to CPU memory; a GPU does it when they are computed, and computes on.

        Returns:
            A function, for any thread, that waits for the copies and returns them as arrays.
        """
        copies = [tensor.to("cpu", non_blocking=True) for tensor in self]
        copied = None
        if self.rows.is_cuda:
            with torch.cuda.device(self.rows.device):
                copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
                copied.record()

        def wait() -> list[NDArray[Any]]:
            if copied is not None:
                copied.synchronize()
            return [copy.numpy() for copy in copies]

        return wait

    def fetch(self) -> list[NDArray[Any]]:
        """Return the three as arrays."""
        return self.start_fetching()()


def _unit_rows(embeddings: torch.Tensor) -> UnitRows:
    unit = UnitRows(
        torch.empty_like(embeddings, dtype=torch.float16),
        *(torch.empty(len(embeddings), device=embeddings.device) for _ in range(2)),
    )
    for start in range(0, len(embeddings), _ROWS_PER_STEP):
        part = slice(start, start + _ROWS_PER_STEP)
        wide = embeddings[part].double()  # (b, D)
        norms = torch.linalg.vector_norm(wide, dim=1)  # (b,)
        unit.norms[part] = norms.float()
        unit.rows[part] = (wide / norms.clamp_(min=torch.finfo(torch.float32).tiny)[:, None]).half()
        row_norms = torch.linalg.vector_norm(unit.rows[part].double(), dim=1).float()  # (b,)
        unit.row_norms[part] = row_norms.masked_fill_(row_norms == 0, 1)
    return unit
