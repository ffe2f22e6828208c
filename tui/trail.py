"""Trail: what one run asked and bookmarked, in an append-only file under the user's data folder.

The file has a line of JSON an event: first what was explored, then each visit, its answer, each move, bookmark and
filter. It is made with the second visit or the first bookmark, so that a look at one random caption leaves no file. A
line is written at once; a lost connection loses nothing. A run that resumes another copies its events into a file of
its own: no file has two writers.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkstemp
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args

from core.assets import AssetError
from core.store.disk import ensure_folder, sync
from core.store.plain import NotPlainError, open_plain

FORMAT = 1
"""Version of the events."""

_NAMED = "%Y%m%d-%H%M%S"  # local time
_PART = ".part"
_ABANDONED_SECONDS = 60.0  # a living process begins a trail sooner
_SET_BACK = timedelta(days=1)  # a name that is later than now by more than this is not of a clock that was set back
_ENDLESS = 1e12  # beyond any distance, score, row or number of a visit
_LONGEST = 16_000_000  # bytes of a line, which has ten captions
_RECENT = 9  # corpora
_LOOKED_AT = 200  # runs among which they are

Event: TypeAlias = dict[str, Any]
How = Literal["typed", "random", "bookmark", "followed"]
"""How a visit was come to."""

_NUMBER, _MAYBE_ROW, _MAYBE_NUMBER = (int, float), (int, NoneType), (int, float, NoneType)
_TYPES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "visit": {"visit": int, "from": _MAYBE_ROW, "how": str, "text": str, "row": _MAYBE_ROW},
    "answer": {"answer": int, "level": (str, NoneType), "step": _MAYBE_NUMBER, "drift": _MAYBE_NUMBER, "hits": list},
    "bookmark": {"bookmark": int, "text": str, "note": str},
    "unbookmark": {"unbookmark": int, "text": str},
    "at": {"at": int},
    "filter": {"filter": str},
}
"""What an event of each kind has."""


def data_folder() -> Path:
    """Return the user's data folder, as the platform has it."""
    import platformdirs

    return platformdirs.user_data_path("infersent-tui")


def default_folder() -> Path:
    """Return the folder of the trails."""
    return data_folder() / "trails"


def fetched_folder() -> Path:
    """Return the folder of the official files that were fetched without naming another one."""
    return data_folder() / "official"


@dataclass(slots=True)
class TrailWriter:
    """Writes the events of one run. A failure is told by `problem` and not raised; the events wait for the next write.

    Args:
        folder: Where the file goes; None to write nothing.
        about: What is explored, for the first line.
    """

    folder: Path | None
    about: Event = field(default_factory=dict)
    path: Path | None = None
    """The file; None before it is made."""
    problem: str = ""
    """Why the latest events are not written; empty while all is well."""
    _waiting: list[Event] = field(default_factory=list)
    _visits: int = 0

    def write(self, event: Event) -> None:
        """Append an event, with the time; the first visit waits for what follows it."""
        if self.folder is None:
            return
        self._waiting.append({"time": datetime.now().astimezone().isoformat(timespec="seconds")} | event)
        self._visits += "visit" in event
        if self.path is None and self._visits < 2 and not event.keys() & {"bookmark", "unbookmark"}:
            return
        self._write_waiting()

    def finish(self) -> None:
        """Write what could not be written before, if that is possible now."""
        if self.problem:
            self._write_waiting()

    def _write_waiting(self) -> None:
        try:
            self._append("".join(json.dumps(each) + "\n" for each in self._waiting).encode())
        except OSError as error:
            reason = f"{error.strerror or error} ({self.path or self.folder})"
            self.problem = f"the trail is not written: {reason}; once it can be, it will be, with what is missing"
        else:
            self._waiting.clear()
            self.problem = ""

    def resume(self, run: Run) -> None:
        """Begin with the events of an earlier run, which are written with the first new visit or bookmark."""
        self._waiting, self._visits = list(run.events), 1

    def _append(self, lines: bytes) -> None:
        if self.path is None:
            assert self.folder is not None
            ensure_folder(self.folder)
            self._remove_leftovers()
            # A name that no other run has, in a file that only its owner reads; a trail once its beginning is there.
            made, name = mkstemp(prefix=f"{self._begun():{_NAMED}}-", suffix=f".jsonl{_PART}", dir=self.folder)
            try:
                with os.fdopen(made, "wb") as file:
                    file.write((json.dumps({"format": FORMAT} | self.about) + "\n").encode() + lines)
                    file.flush()
                    os.fsync(file.fileno())
                self.path = Path(name).rename(name.removesuffix(_PART))
                sync(self.folder)
            finally:
                Path(name).unlink(missing_ok=True)
            return
        descriptor = open_plain(self.path, os.O_WRONLY | os.O_APPEND)  # not made anew if deleted
        try:
            size = os.fstat(descriptor).st_size
            try:
                while lines:
                    lines = lines[os.write(descriptor, lines) :]
            except OSError:
                os.ftruncate(descriptor, size)  # no half of a line
                raise
        finally:
            os.close(descriptor)

    def _begun(self) -> datetime:
        """Return the time that names the trail, after that of the latest one also if the clock was set back since."""
        assert self.folder is not None
        now, latest = datetime.now(), max((path.name for path in self.folder.glob("*.jsonl")), default="")
        with suppress(ValueError):
            after = datetime.strptime(latest[: len(f"{now:{_NAMED}}")], _NAMED) + timedelta(seconds=1)
            if now < after < now + _SET_BACK:
                return after
        return now

    def _remove_leftovers(self) -> None:
        """Delete what processes left that were killed while they began a trail."""
        assert self.folder is not None
        for leftover in self.folder.glob(f"*{_PART}"):
            with suppress(OSError):
                if time.time() - leftover.stat().st_mtime > _ABANDONED_SECONDS:
                    leftover.unlink()


@dataclass(frozen=True, slots=True)
class Run:
    """An earlier run, as read from its file."""

    path: Path
    about: Event
    """What was explored: `captions`, `model`, `count` and `corpus`, which names exactly these captions."""
    events: tuple[Event, ...]
    broken: int
    """Number of lines that were cut off or are no event, and are left out."""

    @property
    def name(self) -> str:
        """The name by which a person names the run."""
        return self.path.stem

    def those(self, kind: str) -> list[Event]:
        """Return the events of a kind."""
        return [event for event in self.events if kind in event]


def read_run(path: Path) -> Run:
    """Read the file of a run.

    Raises:
        AssetError: It cannot be read, is no trail, or was written by a later version.
    """
    try:
        with closing(_lines(path)) as lines:
            about = _event(next(lines, b""))
            version = None if about is None else about.get("format")
            if about is None or version is None:
                raise AssetError(path, "is no trail of infersent-tui, or its beginning is lost", advice="delete it")
            if version != FORMAT:
                found = f"was written by another version (format {version}; this program reads {FORMAT})"
                raise AssetError(path, found, advice="read it with that version; nothing of it is lost")
            events = list(map(_event, lines))
    except NotPlainError as error:
        raise AssetError(path, "is not a plain file, and so no trail", advice="delete it") from error
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error
    return Run(path, about, tuple(filter(None, events)), events.count(None))


def _lines(path: Path) -> Generator[bytes]:
    """Read the lines of a trail one after the other; in place of one that is too long, an empty one.

    Raises:
        OSError: It cannot be read, or is no plain file.
    """
    with os.fdopen(open_plain(path), "rb") as file:
        is_cut = False
        while part := file.readline(_LONGEST):
            was_cut, is_cut = is_cut, len(part) == _LONGEST and not part.endswith(b"\n")
            if not was_cut:
                yield b"" if is_cut else part


def _event(line: bytes) -> Event | None:
    """Read a line; None where it is broken, as one that was cut off by a full disk or a kill, or is no event."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    is_sound = all(
        isinstance(value := event.get(name, ...), kinds) and (not isinstance(value, _NUMBER) or _is_number(value))
        for kind, types in _TYPES.items()
        if kind in event
        for name, kinds in types.items()
    )
    is_sound = is_sound and event.get("how", "typed") in get_args(How)
    return event if is_sound and all(map(_is_hit, event.get("hits", ()))) else None


def _is_hit(hit: object) -> bool:
    return (
        isinstance(hit, dict)
        and isinstance(hit.get("caption"), str)
        and _is_number(hit.get("distance", hit.get("score")))
    )


def _is_number(value: object) -> bool:
    """Tell whether a value is a number of usable size: JSON has also infinite ones, and whole ones of any length."""
    return isinstance(value, _NUMBER) and abs(value) < _ENDLESS


def list_runs(folder: Path) -> Iterator[Run | AssetError]:
    """Read all runs, the latest first; an error in place of one that cannot be read."""
    paths: Iterable[Path] = sorted(folder.glob("*.jsonl"), reverse=True) if folder.is_dir() else ()
    for path in paths:
        try:
            yield read_run(path)
        except AssetError as error:
            yield error


def find_run(folder: Path, name: str) -> Run:
    """Read the run that `find_path` finds.

    Raises:
        AssetError: There is none, several begin so, or it cannot be read.
    """
    return read_run(find_path(folder, name))


def find_path(folder: Path, name: str) -> Path:
    """Return the file of the run of a name, or of the beginning of one; `last` is the latest that can be read.

    Raises:
        AssetError: There is none, or several begin so.
    """
    if name == "last":
        latest = next((run for run in list_runs(folder) if isinstance(run, Run)), None)
        if latest is None:
            raise AssetError(folder, "holds no trail yet", advice="explore first; a trail begins with the second query")
        return latest.path
    paths = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    found = [path for path in paths if path.stem == name] or [
        path for path in paths if name and path.stem.startswith(name)
    ]
    if len(found) != 1:
        many = f"{len(found)} trails have names that begin with {name!r}" if found else f"no trail is named {name!r}"
        raise AssetError(folder, many, advice="choose one of those that `infersent-tui trail list` prints")
    return found[0]


def _is_there(captions: str, options: Event) -> bool:
    """Tell whether the captions of a run are still there; a store at an address may be."""
    if "store" in options:
        return "://" in captions or Path(captions).is_dir()
    return Path(captions).is_file()


def recent_corpora(folder: Path) -> list[Event]:
    """Return what the latest runs explored, each corpus once, where its captions still exist; the latest first."""
    found: dict[tuple[str, str], Event] = {}
    for path in sorted(folder.glob("*.jsonl"), reverse=True)[:_LOOKED_AT] if folder.is_dir() else ():
        if len(found) == _RECENT:
            break
        try:
            with closing(_lines(path)) as lines:
                about = json.loads(next(lines, b""))
            captions, model, options = about["captions"], about["model"], about.get("options", {})
            kinds = ((captions, str), (model, str), (about["count"], int), (options, dict))
            is_sound = all(isinstance(value, kind) for value, kind in kinds) and _is_there(captions, options)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue  # no trail, or one that is damaged
        if is_sound:
            found.setdefault((captions, model), about)
    return list(found.values())
