"""Whole: files and folders that appear complete or not at all, each written by one process at a time.

New content is written beside its final path, under a unique name that ends in `.part`, and renamed once it is on disk.
The last file of a folder is `whole.json`: what the folder was made from, the version of the code that made it, and each
file's size and checksums. A folder without it, or with a file that differs from it in size or beginning, is unfinished.
Differences farther on are found by `damaged`, which reads everything.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.shortage import shortage
from core.store.disk import ensure_folder, sync
from core.store.ending import unfinished
from core.store.locks import CACHE_OPTION, cannot_write, only_one
from core.store.progress import Progress, Steps

if TYPE_CHECKING:
    import numpy as np

MANIFEST = "whole.json"
_CHECKED_BYTES = 1 << 16  # bytes at the start of a file that are checked whenever it is opened
_BLOCK_BYTES = 8 << 20  # bytes of a file that one of its other checksums covers


class Origin(NamedTuple):
    """What a folder was made from."""

    made_from: str
    """Key of its inputs, such as a hash."""
    version: int
    """Version of the code that made it; another version may write other files or values."""
    about: str
    """Description for display."""


def is_whole(folder: Path, origin: Origin | None = None) -> bool:
    """Check that a folder is finished and that the size and beginning of each of its files are as recorded.

    Args:
        folder: The folder, which need not exist.
        origin: What it must be made from, ignoring `about`; None for anything.
    """
    try:
        manifest = parse_json(folder / MANIFEST)
        if origin is not None and (manifest["made_from"], manifest["version"]) != origin[:2]:
            return False
        return all(_fingerprint(folder / name) == known for name, known in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if shortage(error):
            raise
        return False


def about(folder: Path) -> str:
    """Read the description of a finished folder; empty when it cannot be read."""
    try:
        return str(parse_json(folder / MANIFEST)["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def seal(folder: Path, origin: Origin, *, files: Sequence[str] | None = None) -> None:
    """Mark a folder as finished after its files have been synced to disk.

    Args:
        folder: The folder.
        origin: What it was made from.
        files: The files that belong to it, relative to the folder; None for all that it holds.

    Raises:
        AssetError, OSError: The disk is full or cannot be written.
    """
    paths = [folder / name for name in files or ()] or [path for path in folder.rglob("*") if path.is_file()]
    for path in {*paths, *(path.parent for path in paths), folder}:
        sync(path)
    fingerprints = {path.relative_to(folder).as_posix(): _fingerprint(path) for path in sorted(paths)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = {
            path.relative_to(folder).as_posix(): list(pool.map(partial(_checksum, path), _block_starts(path)))
            for path in sorted(paths)
        }
    write_json(folder / MANIFEST, {**origin._asdict(), "files": fingerprints, "blocks": blocks})


def _fingerprint(path: Path) -> list[int]:
    """Return a file's size and the CRC-32 of its beginning, which holds an array's header or all of a small file."""
    _check_file(path)
    with path.open("rb") as file:
        return [os.fstat(file.fileno()).st_size, zlib.crc32(file.read(_CHECKED_BYTES))]


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "is no file, which can be read to its end", path)


def damaged(folder: Path) -> Steps[list[str]]:
    """Read all files of a finished folder.

    Returns:
        The names of those that are not as they were when the folder was finished, or that cannot be read. Folders that
        were made before there were such checksums have none.
    """
    try:
        manifest = parse_json(folder / MANIFEST)
        if "checksum" not in manifest and "blocks" not in manifest:
            return []
        known = read_json(folder / MANIFEST)["blocks"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if shortage(error):
            raise
        return [MANIFEST]
    bad = []
    for name, blocks in known:
        try:
            starts, found = _block_starts(folder / name), list[int]()
            for start in starts:
                yield Progress(f"reading {name}", start / 1e6, starts.stop / 1e6, "MB")
                found.append(_checksum(folder / name, start))
        except (OSError, ValueError) as error:  # a name with a null character
            if shortage(error):
                raise
            found = [-1]
        if found != blocks:
            bad.append(name)
    return bad


def _block_starts(path: Path) -> range:
    return range(0, path.stat().st_size, _BLOCK_BYTES)


def _checksum(path: Path, start: int) -> int:
    """Compute the CRC-32 of a block of a file."""
    with path.open("rb") as file:
        file.seek(start)
        return zlib.crc32(file.read(_BLOCK_BYTES))


def delete(path: Path) -> None:
    """Delete a file or folder; of a link, the link and not what it names.

    Raises:
        OSError: It cannot be deleted.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unseal(folder: Path) -> None:
    """Mark a folder as unfinished.

    Raises:
        OSError: The folder cannot be written.
    """
    (folder / MANIFEST).unlink(missing_ok=True)


def make_folder(
    folder: Path, origin: Origin, make: Callable[[Path], Steps[None]], *, doing: str, lock: Path | None = None
) -> Steps[None]:
    """Make a folder unless it is finished already; several processes may call this at the same time.

    Args:
        folder: Its final path.
        origin: What it is made from.
        make: Writes its files into the temporary folder that it is given.
        doing: What another process that holds the lock does, shown while waiting: `encodes these captions`.
        lock: The folder whose lock is held; None for its own.

    Raises:
        AssetError: The disk is full or cannot be written, or `make` raised it.
    """
    if is_whole(folder, origin):
        return
    with only_one(lock or folder, doing=doing) as waiting:
        yield from waiting
        if is_whole(folder, origin):
            return
        for leftover in folder.parent.glob(f"{folder.name}.*.part"):  # of a process that was killed
            with suppress(OSError):
                delete(leftover)
        temporary = _part_of(folder)
        try:
            ensure_folder(temporary)
            yield from make(temporary)
            seal(temporary, origin)
            delete(folder)  # it has another origin or is damaged
            temporary.rename(folder)
            sync(folder.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def whole_file(path: Path, *, option: str = CACHE_OPTION, advice: str = "") -> Iterator[Path]:
    """Write a file that appears complete or not at all, and survives a power cut.

    What a killed process left of an earlier attempt is deleted.

    Args:
        path: Its final path; an existing file stays until the new one is complete, which gets its permissions.
        option: The option that names its folder.
        advice: What the user can do when it cannot be written; by default, what helps against the error.

    Yields:
        The temporary path to write to.

    Raises:
        AssetError: The file cannot be written.
    """
    try:
        remove_leftovers(path)
        with _temporary(path) as temporary:
            if path.is_file():
                temporary.chmod(path.stat().st_mode)
            yield temporary
            sync(temporary)
            temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error, option=option, advice=advice) from error


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Make a temporary file beside a path and hold its lock, by which others see that it is in use."""
    while True:
        temporary = _part_of(path)
        unfinished.add(temporary)
        try:
            with temporary.open("xb") as file:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file.fileno()).st_nlink:
                    yield temporary
                    return
                # Another process took it for a leftover before it was locked.
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            unfinished.discard(temporary)


def remove_leftovers(path: Path) -> None:
    """Delete the temporary files of a path whose processes were killed."""
    for leftover in path.parent.glob(f"{glob.escape(path.name)}.{'[0-9a-f]' * 8}.part"):
        if leftover.is_symlink() or not leftover.is_file():  # none of this program, and a pipe would hold it up
            continue
        # The lock cannot be had while its process lives, nor where there are no locks.
        with suppress(OSError), leftover.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


def write_json(path: Path, document: dict[str, Any], *, option: str = CACHE_OPTION) -> None:
    """Write a JSON file that appears complete or not at all, with a checksum for `read_json`.

    `option` names its folder, for errors.

    Raises:
        AssetError: The file cannot be written.
    """
    with whole_file(path, option=option) as temporary:
        checksum = zlib.crc32(json.dumps(document).encode())
        temporary.write_text(json.dumps(document | {"checksum": checksum}, indent=1), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        OSError, ValueError: The file cannot be read, or is damaged.
    """
    document = parse_json(path)
    if not isinstance(document, dict) or document.pop("checksum", None) != zlib.crc32(json.dumps(document).encode()):
        raise ValueError(f"{path} is damaged")
    return document


def is_damaged(path: Path) -> bool:
    """Tell whether a file of `write_json` is there, but cannot be read as it was written."""
    try:
        read_json(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        if shortage(error):
            raise
        return True
    return False


def parse_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        OSError, ValueError: The file cannot be read, is not JSON, or is nested too deeply.
    """
    _check_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply") from error


def new_array(path: Path, shape: tuple[int, ...], dtype: str) -> np.memmap[Any, Any]:
    """Make a memory-mapped `.npy` file of zeros and reserve its disk space: writing to it would else end the process.

    Raises:
        OSError: The disk is full, or the file cannot be written.
    """
    import numpy as np

    array: np.memmap[Any, Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    array.flush()
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array


def _part_of(path: Path) -> Path:
    """Return a temporary path beside another; it is unique even where locks do not work."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
