"""DeviceRows: the rows of a matrix in a GPU's memory, and the parts of a search that run there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.device_errors import is_device_error
from core.ranking.ranking import cosine_error

_SPARE_BYTES = 2 << 30  # GPU memory that must stay free
_ROWS_PER_STEP = 1 << 16  # rows copied or multiplied together; more than 2^31 numbers are too many for some products
_MOST_REFINED = 1 << 14  # rows whose cosines are computed again in float64


class DeviceRows(NamedTuple):
    """N rows on a GPU."""

    rows: torch.Tensor
    """(N, D), float32, or float16 where float32 does not fit."""
    norms: torch.Tensor
    """Norms of the rows, near 1, (N,), float32."""

    @classmethod
    def copy(cls, rows: NDArray[np.float16], norms: NDArray[np.float32], device: str) -> DeviceRows | None:
        """Copy rows, (N, D), and their norms, (N,), to a device; None if they do not fit there, or it fails.

        Rows in float32 take twice the memory, and are searched in half the time. On a CPU no memory is checked.
        """
        try:
            free = torch.cuda.mem_get_info(device)[0] - _SPARE_BYTES if device.startswith("cuda") else 2 * rows.nbytes
        except RuntimeError as error:
            if not is_device_error(error):
                raise
            return None
        for dtype, needed in ((torch.float32, 2 * rows.nbytes), (torch.float16, rows.nbytes)):
            if needed > free:
                continue
            try:
                copied = torch.empty(rows.shape, dtype=dtype, device=device)  # (N, D)
                for start in range(0, len(rows), _ROWS_PER_STEP):
                    part = slice(start, start + _ROWS_PER_STEP)
                    copied[part] = torch.from_numpy(rows[part]).to(device)
                return cls(copied, torch.from_numpy(norms).to(device))
            except RuntimeError as error:  # another process took the memory, say
                if not is_device_error(error):
                    raise
        return None

    @torch.inference_mode()
    def cosines(self, unit: NDArray[np.float64], ranked: NDArray[np.bool_]) -> torch.Tensor:
        """Compute the cosines of all rows to a unit query, (D,), as float32 products; (N,), on the device.

        The cosine is -inf where `ranked`, (N,), is False.
        """
        vector = torch.from_numpy(unit.astype(np.float32)).to(self.rows.device)  # (D,)
        cosines = self.norms.new_empty(len(self.rows))  # (N,)
        for start in range(0, len(self.rows), _ROWS_PER_STEP):
            part = slice(start, start + _ROWS_PER_STEP)
            torch.mv(self.rows[part].float(), vector, out=cosines[part])
        cosines /= self.norms
        return cosines.masked_fill_(~torch.from_numpy(ranked).to(cosines.device), -torch.inf)

    @torch.inference_mode()
    def narrowed(self, cosines: torch.Tensor, ranked: NDArray[np.bool_]) -> torch.Tensor:
        """Return what `cosines` returned, (N,), with -inf also where `ranked`, (N,), is False; (N,)."""
        return cosines.masked_fill(~torch.from_numpy(ranked).to(cosines.device), -torch.inf)

    @torch.inference_mode()
    def candidates(self, cosines: torch.Tensor, unit: NDArray[np.float64], k: int) -> NDArray[np.int64]:
        """Return all rows that can be among the k nearest, ascending, (C,): about k.

        Args:
            cosines: What `cosines` returned, (N,).
            unit: The query, (D,).
            k: At most as many as there are ranked rows.
        """
        dim = len(unit)
        floor = cosines.topk(k).values[-1] - 2 * cosine_error(dim, np.float32)
        rows = torch.nonzero(cosines >= floor)[:, 0]  # (C,)
        if k < len(rows) <= _MOST_REFINED:
            wide = self.rows[rows].double()  # (C, D)
            exact = wide @ torch.from_numpy(unit).to(wide.device)  # (C,)
            exact /= torch.linalg.vector_norm(wide, dim=1).clamp_(min=1e-30)
            # 2 for both rows that are compared, times 2 since the distances by which they are ranked, computed
            # elsewhere, have such errors, too, and 2 more for the norms.
            rows = rows[exact >= exact.topk(k).values[-1] - 6 * cosine_error(dim, np.float64)]
        return rows.cpu().numpy()


@torch.inference_mode()
def in_order_on_device(
    cosines: torch.Tensor, leading: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Do what `in_order` does, with cosines on a device."""
    distances = 1 - cosines  # (N,)
    distances[torch.from_numpy(leading).to(distances.device)] = torch.inf
    ascending, rows = distances.sort(stable=True)
    count = int(torch.isfinite(ascending).sum())
    return rows[:count].int().cpu().numpy(), ascending[:count].cpu().numpy()
