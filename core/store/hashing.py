"""Hashing: the SHA-256 of a file, read in blocks."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from core.store.progress import Progress, Steps

_BLOCK_BYTES = 16 << 20  # bytes hashed between two progress reports


def file_sha256(path: Path, *, stage: str) -> Steps[str]:
    """Compute the SHA-256 of a file.

    Args:
        path: The file.
        stage: What the progress says, such as `hashing captions.json`.

    Returns:
        64 hexadecimal digits, lower case.

    Raises:
        OSError: It cannot be read.
    """
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while block := file.read(_BLOCK_BYTES):
            hasher.update(block)
            yield Progress(stage, file.tell() / 1e6, size / 1e6, "MB")
    return hasher.hexdigest()
