"""Cache: the folder of computed matrices, shards and word vectors. Its databases only save time and may be deleted."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import diskcache
import platformdirs

from core.assets import AssetError
from core.store.disk import ensure_folder
from core.store.file_state import FileState
from core.store.hashing import file_sha256
from core.store.locks import CACHE_OPTION, unless_locked
from core.store.progress import Progress, Steps
from core.store.whole import MANIFEST, damaged, delete, is_damaged, is_whole, parse_json, unseal
from core.store.whole import about as about_folder

_ANSWERS_BYTES = 256 << 20
_KINDS = ("matrix", "shards", "vectors")
_ENTRY = re.compile(r"[0-9a-f]{32,64}(-\d+(-of-\d+)?)?(\.[0-9a-f]{8}\.part)?")  # names that this program makes
_VALUE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")  # names of files that diskcache makes
_CRC_BYTES = 4  # of a checksum before each answer
_DATABASES = ("registry", "answers")
_MEASURED = {
    "calibration-*.json": "it is measured again by `infersent-tui calibrate`, or by the next start of the explorer",
    "variations.json": "it is measured again when variations are next asked for",
}
"""Files of measurements in the folder of a matrix, and what makes a damaged one again."""
_ROOT = Path(__file__).parents[2]


class PlainDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """diskcache storage of which a tampered database can neither run code nor reach other files.

    Values are not pickled (CVE-2025-69872), and files have the names that diskcache gives them.
    """

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Read a value; raise OSError for a pickled one or another file, which diskcache treats as a miss."""
        if mode == diskcache.core.MODE_PICKLE:
            raise OSError("refused to unpickle a cache value")
        if mode != diskcache.core.MODE_RAW and not self._is_own(filename):
            raise OSError("refused to read a file that is none of the cache")
        return super().fetch(mode, filename, value, read)

    def remove(self, file_path: str) -> None:
        """Delete the file of a value, and none that is not of the cache."""
        if self._is_own(file_path):
            super().remove(file_path)

    def _is_own(self, filename: object) -> bool:
        if not isinstance(filename, str) or not _VALUE.fullmatch(filename):
            return False
        path = Path(self._directory).resolve() / filename
        return path.resolve() == path and path.is_file()

    def get(self, key: Any, raw: bool) -> Any:
        """Read a key; raise OSError for a pickled one."""
        if not raw:
            raise OSError("refused to unpickle a cache key")
        return super().get(key, raw)

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:
        """Write a value that is bytes, str, int or float; raise TypeError for any other."""
        if not isinstance(value, bytes | str | int | float):
            raise TypeError(f"cache values are bytes, str, int or float, not {type(value).__name__}")
        return super().store(value, read, key=key)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One entry of the cache."""

    kind: str
    """`matrix`, `shards` or `vectors`."""
    key: str
    """The folder's name: the hash of everything that determines its content."""
    path: Path
    """The entry's folder."""
    bytes: int
    """Disk space that it uses."""
    whole: bool
    """False while it is being written, or when it was left unfinished."""
    about: str
    """Description for display; `unfinished` where that is unknown."""


class Cache:
    """The cache folder with two small databases: `registry/` for file hashes, `answers/` for encoded queries.

    They are created when first used. A database error counts as a miss and is reported once in `problems`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[str] = []

    @classmethod
    def default_root(cls) -> Path:
        """Return `cache/` of the checkout that this code runs from, else the user's cache folder on this platform."""
        project = _ROOT / "pyproject.toml"
        if project.is_file() and 'name = "infersent-tui"' in project.read_text(encoding="utf-8"):
            return _ROOT / "cache"
        return platformdirs.user_cache_path("infersent-tui", appauthor=False)

    def folder(self, kind: str, key: str) -> Path:
        """Return the path of an entry, whether it exists or not."""
        return self.root / kind / key

    def check_owners(self) -> None:
        """Check that no other user may have filled the cache behind the back of its owner.

        A folder that only its owner or a group writes is trusted, as that of a colleague, and so is one of root. Root
        itself, who in a container often works in folders of other users, is not asked.

        One's own folder that every user may write is a problem that is told.

        Raises:
            AssetError: A folder that every user may write, or one inside such a folder, belongs to another user. Or a
                folder of entries is a link.
        """
        folders, user = (self.root, *(self.root / kind for kind in _KINDS)), os.geteuid()
        for folder in folders[1:]:
            if folder.is_symlink():
                advice = f"delete the link, or name another place for the whole cache with {CACHE_OPTION}"
                raise AssetError(folder, "is a link to somewhere else", advice=advice)
        found = [(folder, folder.stat()) for folder in folders if folder.exists()]
        is_open = {folder for folder, status in found if status.st_mode & stat.S_IWOTH}
        for folder, status in found:
            if folder in is_open and status.st_uid == user and not status.st_mode & stat.S_ISVTX:
                problem = f"cache: every user may write to {folder}, and so change what is found: chmod o-w {folder}"
                self.problems += [problem] if problem not in self.problems else []
            if user and status.st_uid not in (0, user) and {folder, folder.parent} & is_open:
                text = "belongs to another user, and every user may have written to it"
                raise AssetError(folder, text, advice=f"name a folder of your own with {CACHE_OPTION}")

    def sha256(self, path: Path) -> Steps[str]:
        """Hash a file, reusing the stored hash while its path and `FileState` are unchanged.

        Within two seconds of a change no hash is stored, because another write could leave all of them the same.

        Raises:
            AssetError: The file cannot be read, or changes meanwhile.
        """
        state = FileState.of(path)
        try:
            memo_key = f"sha256:{path.resolve()}:{state.bytes}:{state.modified}:{state.changed}"
            known = self._recall(self._registry, memo_key)
            if isinstance(known, str):
                return known
            digest = yield from file_sha256(path, stage=f"hashing {path.name}")
        except OSError as error:
            raise AssetError.from_os_error(path, error) from error
        state.check()
        if abs(time.time_ns() - state.changed) > 2e9:
            self._remember(self._registry, memo_key, digest)
        return digest

    def recall_answer(self, key: str) -> bytes | None:
        """Return a stored encoded query; None when there is none."""
        value = self._recall(self._answers, key)
        if not isinstance(value, bytes) or value[:_CRC_BYTES] != _crc(value[_CRC_BYTES:]):
            return None
        return value[_CRC_BYTES:]

    def remember_answer(self, key: str, value: bytes) -> None:
        """Store an encoded query; beyond 256 MB the oldest ones are deleted."""
        self._remember(self._answers, key, _crc(value) + value)

    def entries(self) -> Iterator[CacheEntry]:
        """List the entries, matrices first."""
        for kind in _KINDS:
            folder = self.root / kind
            folders = [] if folder.is_symlink() else folder.glob("*/")
            for path in sorted(path for path in folders if _ENTRY.fullmatch(path.name)):
                about = about_folder(path) or _about_matrix(path) or "unfinished"
                yield CacheEntry(kind, path.name, path, _size(path.rglob("*")), is_whole(path), about)

    def check(self) -> Steps[list[str]]:
        """Read all finished folders, and mark those as unfinished that are damaged: the next start makes them again.

        Measurements and databases are read, too.

        Returns:
            A description of each damaged folder, file of measurements and database.
        """
        problems = []
        entries = [entry.path for entry in self.entries() if not entry.path.is_symlink()]
        for manifest in sorted(path for entry in entries for path in entry.rglob(MANIFEST)):
            folder, bad = manifest.parent, list[str]()
            try:
                with unless_locked(folder) as free:  # else another process is replacing it
                    bad = (yield from damaged(folder)) if free else []
                    if bad:
                        unseal(folder)
            except (OSError, NotImplementedError):  # a cache that can only be read
                bad = bad or (yield from damaged(folder))
            if bad:
                name = folder.relative_to(self.root)
                problems.append(f"{name}: {', '.join(bad)} damaged; the next start makes it again")
        for entry in entries:
            for pattern, again in _MEASURED.items():
                bad = [path.name for path in sorted(entry.glob(pattern)) if is_damaged(path)]
                problems += [f"{entry.relative_to(self.root)}: {name} damaged; {again}" for name in bad]
        for database in (self.root / name / diskcache.core.DBNAME for name in _DATABASES):
            yield Progress(f"reading {database.parent.name}", 0, 0, "")
            if _is_damaged_database(database):
                name = database.relative_to(self.root)
                problems.append(f"{name} damaged; delete {database.parent}, which only saves time")
        return problems

    def prune(self, keep: set[Path]) -> list[CacheEntry]:
        """Delete the entries that are not in `keep` and that no process is writing; return the deleted ones.

        Raises:
            AssetError: An entry cannot be deleted.
        """
        deleted = []
        for entry in list(self.entries()):
            if entry.path in keep:
                continue
            locked_as = entry.path.with_name(entry.key.split(".")[0])  # a `.part` is locked under its final name
            try:
                with unless_locked(locked_as) as free:
                    if free:
                        if not entry.path.is_symlink():
                            unseal(entry.path)  # if this process is killed midway, the rest counts as unfinished
                        delete(entry.path)
                        locked_as.with_name(locked_as.name + ".lock").unlink(missing_ok=True)
                        deleted.append(entry)
            except OSError as error:
                raise AssetError.from_os_error(error.filename or entry.path, error) from error
        return deleted

    def size(self) -> int:
        """Return the disk usage of the whole cache in bytes."""
        return _size(self.root.rglob("*"))

    def close(self) -> None:
        """Close the databases."""
        for name in ("_registry", "_answers"):
            if (database := self.__dict__.pop(name, None)) is not None:
                database.close()

    @cached_property
    def _registry(self) -> Any:
        return self._database("registry")

    @cached_property
    def _answers(self) -> Any:
        return self._database("answers", size_limit=_ANSWERS_BYTES)

    def _database(self, name: str, **settings: Any) -> Any:
        with self._error_is_a_miss(name):
            folder = self.root / name
            if folder.is_symlink() or (folder / diskcache.core.DBNAME).is_symlink():
                raise OSError(errno.ELOOP, "is a link to somewhere else")
            ensure_folder(folder)
            os.chmod(folder, 0o700)
            settings |= {"sqlite_journal_mode": "delete"}  # a write-ahead log does not work on network file systems
            settings |= {"sqlite_mmap_size": 0, "sqlite_cache_size": 256}  # rows are read once: pages need no memory
            return diskcache.Cache(str(folder), disk=PlainDisk, timeout=0.25, **settings)
        return None

    def _recall(self, database: Any, key: str) -> Any:
        if database is not None:
            with self._error_is_a_miss(str(database.directory), opened=True):
                return database.get(key)
        return None

    def _remember(self, database: Any, key: str, value: bytes | str) -> None:
        if database is not None:
            with self._error_is_a_miss(str(database.directory), opened=True):
                database.set(key, value)

    @contextmanager
    def _error_is_a_miss(self, what: str, *, opened: bool = False) -> Iterator[None]:
        """Note an error in `problems`; `what` is the folder of a database that has been opened, or a name."""
        try:
            yield
        except (OSError, sqlite3.Error, diskcache.Timeout, LookupError, TypeError, ValueError) as error:
            # diskcache raises the last three for settings and rows that it did not write.
            problem = f"cache: {what} cannot be used ({error}); going on without it"
            if opened and not Path(what).exists():  # SQLite calls it read-only
                gone = what if self.root.exists() else self.root
                problem = f"cache: {gone} is gone; going on without it, and the next start makes it again"
            if problem not in self.problems:
                self.problems.append(problem)


def _is_damaged_database(path: Path) -> bool:
    """Tell whether the tables of a database do not hold together; of one that is in use or cannot be opened, no."""
    if not path.is_file() or path.is_symlink() or path.parent.is_symlink():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=0.25, uri=True)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)])
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True


def _crc(value: bytes) -> bytes:
    return zlib.crc32(value).to_bytes(_CRC_BYTES, "little")


def _size(files: Iterable[Path]) -> int:
    """Sum the disk usage of files in bytes; a file that another process has just deleted counts 0."""
    size = 0
    for file in files:
        with suppress(FileNotFoundError):
            size += file.stat().st_blocks * 512 if file.is_file() else 0
    return size


def _about_matrix(path: Path) -> str:
    """Read the description of an unfinished matrix; empty when it cannot be read."""
    try:
        return str(parse_json(path / "recipe.json")["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
