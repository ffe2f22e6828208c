"""FileState: by which one sees whether an input file has changed since it was hashed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from core.assets import AssetError


class FileState(NamedTuple):
    """A file, its size and its times."""

    path: Path
    bytes: int
    modified: int
    """Nanoseconds; programs that copy a file may set it to that of the original."""
    changed: int
    """Nanoseconds, when content or properties last changed; no program can set it."""

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return the present state of a file.

        Raises:
            AssetError: It cannot be read.
        """
        try:
            stat = path.stat()
        except OSError as error:
            raise AssetError.from_os_error(path, error) from error
        return cls(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    def check(self) -> None:
        """Check that the file is still in this state: what was read of it may else belong to another hash.

        Raises:
            AssetError: It has changed, or is no longer there.
        """
        if FileState.of(self.path) != self:
            raise self.error()

    def error(self) -> AssetError:
        """Describe that the file has changed."""
        return AssetError(
            self.path, "changed while it was in use", advice="start again when no other program writes this file"
        )
