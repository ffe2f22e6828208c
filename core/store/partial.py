"""Partial: what has come of a file while it is downloaded, and a note of which file it is a part."""

from __future__ import annotations

import errno
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from urllib3 import exceptions as http

from core.assets import AssetError
from core.store.disk import sync
from core.store.web import Answer
from core.store.whole import read_json, remove_leftovers, write_json

FOLDER_OPTION = "--data-dir"
"""The option that names the folder of downloads."""
_SYNC_BYTES = 16 << 20  # bytes between two times that what has come is synced to the disk, where it comes fast
_SYNC_SECONDS = 2.0  # between them where it comes slowly
_NOTE_ROOM = 1 << 16  # bytes that make room for the note on a full disk
_FULL = (errno.ENOSPC, errno.EDQUOT)


def delete_partial(path: Path) -> None:
    """Delete what has come of a file, also where a run was killed before it could."""
    _delete(_part_of(path), _about_of(path))
    remove_leftovers(_about_of(path))


class Partial:
    """What is on disk of a file that has not come whole, and of which state of which server's file it is a part.

    It stays as it is until the body of another file comes.

    Args:
        url: Address that is asked.
        path: Where the file will be.
        most_bytes: A larger file is refused.
        is_checked: Whether the whole file will be compared with a checksum. Then a part may also be gone on with that
            came from another server, or has no sign by which it is the same, if the whole file is as long there.
        elsewhere: How to have the file from another server, for errors.
    """

    def __init__(self, url: str, path: Path, most_bytes: int, *, is_checked: bool, elsewhere: str) -> None:
        self.url = url
        self.name = url.rpartition("/")[2] or path.name
        self.path = _part_of(path)
        self.source = ""
        """The address that answered; `url` may lead to several servers."""
        self.etag = self.modified = ""
        self.total = 0
        """Bytes of the whole file; 0 where the server does not say."""
        self.done = 0
        """Bytes that have come from `url`."""
        self.furthest = 0
        """Bytes beyond which what comes is progress: a file that is sent from its start each time makes none."""
        self.is_joined = False
        """Whether its parts may be of different files, which the checksum has to tell."""
        self._goes_on = False
        self._why_not = "nothing tells of which file they are"
        self._most_bytes, self._is_checked, self._elsewhere = most_bytes, is_checked, elsewhere
        self._synced, self._synced_at = 0, time.monotonic()
        self._about = _about_of(path)

    def __enter__(self) -> Partial:
        """Open the file; of a part that can be gone on with, cut off what may not have reached the disk."""
        if self.path.is_symlink() or not self.path.is_file():  # what a link or pipe leads to is not of this download
            self.path.unlink(missing_ok=True)
        self._file = self.path.open("ab", buffering=0)
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = read_json(self._about)
            is_own = known["url"] == self.url and not known["is_joined"]
            if not is_own and not (self._is_checked and known["total"]):
                is_elsewhere = known["url"] != self.url
                self._why_not = "they came from another address" if is_elsewhere else "no checksum is known any more"
            elif 0 < known["done"] <= self._file.tell():
                self.source, self.etag, self.modified = (str(known[name]) for name in ("source", "etag", "modified"))
                self.total, self.done = int(known["total"]), int(known["done"])
                self.is_joined, self._goes_on, self._why_not = bool(known["is_joined"]), True, ""
        if self._goes_on:
            self._file.truncate(self.done)
            self._synced = self.done
        self.furthest = self.start
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            self._sync()
        except (OSError, AssetError) as failure:
            if isinstance(failure.__cause__, OSError) and failure.__cause__.errno in _FULL:
                self._make_room_for_note()
            if kind is None:  # else the first error counts
                raise
        finally:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                if not self.path.stat().st_size:
                    _delete(self.path, self._about)

    @property
    def validator(self) -> str:
        """By what the server can tell that its file is still the same; empty where nothing does."""
        return self.modified if self.etag.startswith("W/") else self.etag or self.modified

    @property
    def is_joinable(self) -> bool:
        """Whether the rest may come from any server that has a file of the same length."""
        return self._is_checked and self.total > 0

    @property
    def start(self) -> int:
        """Where the rest begins that is to be asked for; 0 if the whole file is."""
        return self.done if self._goes_on and (self.validator or self.is_joinable) else 0

    @property
    def is_whole(self) -> bool:
        """Whether all has come, as far as can be told without asking the server."""
        return self.start == self.total > 0

    @property
    def request(self) -> dict[str, str]:
        """The headers that ask for the rest alone."""
        if not self.start:
            return {}
        condition = {} if self.is_joinable else {"If-Range": self.validator}
        return {"Range": f"bytes={self.start}-", **condition}

    def advice(self, first: str = "") -> str:
        """Say what to do when the file does not come, and what happens then to what has come.

        Args:
            first: What may help with this server; empty for nothing.
        """
        text = f"{first}, or {self._elsewhere}" if first else self._elsewhere
        if self.start:
            text += f"; the {_amount(self.start)} are kept, and fetching it again goes on from there, "
            text += "also from another server" if self.is_joinable else "but starts over from another server"
        return text

    def start_over(self, why: str) -> None:
        """Ask for the whole file from now on, since the server does not have the rest."""
        self._goes_on, self._why_not = False, why

    def loss(self, answer: Answer) -> str:
        """Say what `begin` drops and why; empty where nothing has come."""
        size = self.path.stat().st_size
        why = self._why_not
        if not why and not self.is_joinable and not self.is_of(answer):
            why = "the file is another one now" if answer.source == self.source else "another server answers now"
        if not why and self.is_joinable and _length_of(answer) not in (0, self.total):
            why = "the file has another length now"
        if not why and not self.start:
            why = "the server sends nothing (ETag, date) by which to tell that its file is still the same"
        why = why or "the server does not resume"
        return f"{self.name} starts over, and the {_amount(size)} are dropped: {why}" if size else ""

    def begin(self, answer: Answer) -> None:
        """Drop what has come, for an answer that has the whole file."""
        self.expect(_length_of(answer))
        self._goes_on, self._why_not, self.is_joined = True, "", False
        self._take_signs(answer)
        self._drop()

    def join(self, answer: Answer, length: int) -> bool:
        """Tell whether the rest that comes belongs to what has come; where a checksum will tell, take it for that.

        Args:
            answer: Has the rest.
            length: Bytes of the whole file there, 0 if the server does not say.
        """
        if self.validator and self.is_of(answer):
            return True
        if self.is_joinable and length == self.total:
            self.is_joined = True
            self._take_signs(answer)
            return True
        return False

    def finish(self) -> None:
        """Note that all has come."""
        self.total = self.done
        self._sync()
        self._write_about()

    def expect(self, total: int) -> None:
        """Note the bytes of the whole file, 0 for an unknown number; raise `AssetError` if the disk has no room."""
        self._refuse_beyond(total)
        room = shutil.disk_usage(self.path.parent).free + self.path.stat().st_size
        if total > room:
            advice = f"free some space, or name another folder with {FOLDER_OPTION}; what has come is kept"
            found = f"the file has {total / 1e6:,.1f} MB, and there is room for {room / 1e6:,.1f}"
            raise AssetError(self.path.parent, found, advice=advice)
        self.total = total

    def is_of(self, answer: Answer) -> bool:
        """Tell whether an answer has the sign by which the rest was asked for, and is of the same server.

        A date may be missing: the rest need not repeat it (RFC 9110, 15.3.7).
        """
        headers = answer.response.headers
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        is_same = etag == self.etag if self.validator == self.etag else modified in ("", self.modified)
        return is_same and etag in ("", self.etag) and answer.source == self.source

    def append(self, block: bytes) -> None:
        """Add what has come."""
        size = self.done + len(block)
        if size > (self.total or size):
            self._drop()
            raise http.ProtocolError("the server sent more than it had announced")
        self._refuse_beyond(size)
        rest = memoryview(block)
        while rest:
            written = self._file.write(rest)
            self.done += written
            rest = rest[written:]
        self.keep()

    def keep(self) -> None:
        """Sync what has come to the disk if that is due, and note it; a kill loses what comes after."""
        is_long_ago = time.monotonic() - self._synced_at >= _SYNC_SECONDS
        if is_long_ago or self.done - self._synced >= _SYNC_BYTES:
            self._sync()

    def _take_signs(self, answer: Answer) -> None:
        headers = answer.response.headers
        self.source, self.etag, self.modified = answer.source, headers.get("ETag", ""), headers.get("Last-Modified", "")

    def _refuse_beyond(self, size: int) -> None:
        if size > self._most_bytes:
            found = f"the file has at least {size / 1e6:,.0f} MB"
            expected = f"at most {self._most_bytes / 1e6:,.0f} MB"
            raise AssetError(self.url, found, expected=expected, advice=self.advice())

    def _drop(self) -> None:
        self.done = self._synced = 0
        self._write_about()  # first: of what comes now, nothing may be taken for a part of the file before
        self._file.truncate(0)

    def _sync(self) -> None:
        if self.done != self._synced:
            sync(self.path)
            self._write_about()
            self._synced = self.done
        self._synced_at = time.monotonic()

    def _make_room_for_note(self) -> None:
        """Give up the last bytes on a full disk: without a note of them, all that was not noted would be lost."""
        self.done = max(self._synced, self.done - _NOTE_ROOM)
        with suppress(OSError, AssetError):
            self._file.truncate(self.done)
            self._sync()

    def _write_about(self) -> None:
        names = ("url", "source", "etag", "modified", "total", "done", "is_joined")
        write_json(self._about, {name: getattr(self, name) for name in names}, option=FOLDER_OPTION)


def _length_of(answer: Answer) -> int:
    """Return the bytes of an answer's body; 0 if it does not say."""
    headers = answer.response.headers
    length = headers.get("Content-Length", "")
    is_length = re.fullmatch(r"\d{1,15}", length) and "Transfer-Encoding" not in headers
    return int(length) if is_length else 0


def _amount(size: int) -> str:
    return f"{size / 1e6:,.1f} MB that have come"


def _delete(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _about_of(path: Path) -> Path:
    return path.with_name(path.name + ".partial.json")
