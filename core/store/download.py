"""Download: a file from a web server that appears whole or not at all; a broken download goes on where it stopped."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from urllib3 import BaseHTTPResponse
from urllib3 import exceptions as http
from urllib3.util import Retry

from core.assets import AssetError
from core.store.disk import sync
from core.store.hashing import file_sha256
from core.store.pages import START_BYTES, is_page
from core.store.progress import Progress, Steps
from core.store.web import ADVICE, Answer, Connections, check_address, describe, is_final, range_of, status_of
from core.store.whole import read_json, write_json

FOLDER_OPTION = "--data-dir"
"""The option that names the folder of downloads."""
_BLOCK_BYTES = 1 << 18
_SYNC_BYTES = 16 << 20  # bytes between two times that what has come is synced to the disk
_LONGEST_WAIT_SECONDS = 120  # whatever a server wishes
_WAITS = Retry(total=6, backoff_factor=0.5, backoff_max=60)
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class Checksum(NamedTuple):
    """What a file's SHA-256 should be."""

    sha256: str
    """64 hexadecimal digits, lower case."""
    source: str
    """Who says so, for errors: `published by its owner`."""

    def __str__(self) -> str:
        return f"{self.sha256} ({self.source})"


def download(
    url: str,
    path: Path,
    *,
    most_bytes: int,
    checksum: Checksum | None = None,
    check: Callable[[Path], Steps[None]] | None = None,
) -> Steps[None]:
    """Download a file. Of one path, one process at a time may call this.

    Until the file is whole, `NAME.partial` holds what has come. A server that still has the same file, by its ETag or
    date, is asked for the rest alone. It is asked again, later each time, when the connection fails, stalls for 30 s,
    or the server is busy; six times without a byte more end the download. What has come of another file, or from
    another address, stays until the body of this one comes.

    Args:
        url: Address, http or https; the variables `http_proxy`, `https_proxy` and `no_proxy` count.
        path: Where the file will be, in a folder that exists.
        most_bytes: A larger file is refused.
        checksum: What it must have; None for any.
        check: Looks at the whole file before it gets its name, and raises `AssetError` if it is not what it should be.

    Raises:
        AssetError: The server does not have the file, cannot be reached or sends something else; the checksum differs.
        OSError, MemoryError: The disk is full or fails, or the memory is full. What has come is kept.
    """
    check_address(url)
    with _Partial(url, path, most_bytes) as partial:
        yield from _complete(partial)
    try:
        if checksum is not None:
            yield from _compare(partial.path, checksum)
        if check is not None:
            yield from check(partial.path)
    except AssetError as error:
        if error.__cause__ is not None and is_of_machine(error.__cause__):
            raise error.__cause__ from None
        delete_partial(path)
        advice = error.advice or "fetch it again; if that stays so, name another server with --mirror"
        raise AssetError(url, error.found, expected=error.expected, advice=advice) from error
    partial.path.rename(path)
    sync(path.parent)
    delete_partial(path)


def delete_partial(path: Path) -> None:
    """Delete what has come of a file, also where a run was killed before it could."""
    for name in (_part_of(path), _about_of(path)):
        name.unlink(missing_ok=True)


def is_of_machine(error: BaseException) -> bool:
    """Tell whether an error, come while a file was read, is of the disk or the memory, and none of the file."""
    is_of_disk = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)  # of offsets that are damaged
    return is_of_disk or isinstance(error, MemoryError)


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _about_of(path: Path) -> Path:
    return path.with_name(path.name + ".partial.json")


def _compare(path: Path, checksum: Checksum) -> Steps[None]:
    digest = yield from file_sha256(path, stage=f"checking {path.name.removesuffix('.partial')}")
    if digest != checksum.sha256:
        advice = "fetch it again; if that stays so, name another server with --mirror, or, if you trust what came,"
        advice += f" its checksum: --sha256 {digest}"
        raise AssetError(path, f"what came has another checksum: {digest}", expected=str(checksum), advice=advice)


class _Partial:
    """What is on disk of a file that has not come whole, and of which state of which server's file it is a part.

    It stays as it is until the body of another file comes.
    """

    def __init__(self, url: str, path: Path, most_bytes: int) -> None:
        self.url = url
        self.name = path.name
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
        self._goes_on = False
        self._most_bytes = most_bytes
        self._synced = 0
        self._about = _about_of(path)

    def __enter__(self) -> _Partial:
        """Open the file; of a part of this address's file, cut off what may not have reached the disk."""
        if self.path.is_symlink() or not self.path.is_file():  # what a link or pipe leads to is not of this download
            self.path.unlink(missing_ok=True)
        self._file = self.path.open("ab")
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = read_json(self._about)
            if known["url"] == self.url and 0 < known["done"] <= self._file.tell():
                self.source, self.etag, self.modified = (str(known[name]) for name in ("source", "etag", "modified"))
                self.total, self.done = int(known["total"]), int(known["done"])
                self._goes_on = True
        if self._goes_on:
            self._file.truncate(self.done)
            self._synced = self.done
        self.furthest = self.start
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            self._sync()
        except (OSError, AssetError):
            if kind is None:  # else the first error counts
                raise
        finally:
            with suppress(OSError):
                self._file.close()

    @property
    def validator(self) -> str:
        """By what the server can tell that its file is still the same; empty where nothing does."""
        return self.modified if self.etag.startswith("W/") else self.etag or self.modified

    @property
    def start(self) -> int:
        """Where the rest begins that is to be asked for; 0 if the whole file is."""
        return self.done if self._goes_on and self.validator else 0

    def start_over(self) -> None:
        """Ask for the whole file from now on, since the server does not have the rest."""
        self._goes_on = False

    def begin(self, answer: Answer) -> None:
        """Drop what has come, for an answer that has the whole file."""
        headers = answer.response.headers
        length = headers.get("Content-Length", "")
        is_length = re.fullmatch(r"\d{1,15}", length) and "Transfer-Encoding" not in headers
        self.expect(int(length) if is_length else 0)
        self.source, self._goes_on = answer.source, True
        self.etag, self.modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        self._drop()

    def expect(self, total: int) -> None:
        """Note the bytes of the whole file, 0 for an unknown number."""
        self._refuse_beyond(total)
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
        self._file.write(block)
        self.done = size
        if self.done - self._synced >= _SYNC_BYTES:
            self._sync()

    def _refuse_beyond(self, size: int) -> None:
        if size > self._most_bytes:
            found = f"the file has at least {size / 1e6:,.0f} MB"
            raise AssetError(
                self.url, found, expected=f"at most {self._most_bytes / 1e6:,.0f} MB", advice="name another --mirror"
            )

    def _drop(self) -> None:
        self.done = self._synced = 0
        self._write_about()  # first: of what comes now, nothing may be taken for a part of the file before
        self._file.truncate(0)

    def _sync(self) -> None:
        if self.done != self._synced:
            self._file.flush()
            sync(self.path)
            self._synced = self.done
            self._write_about()

    def _write_about(self) -> None:
        names = ("url", "source", "etag", "modified", "total", "done")
        write_json(self._about, {name: getattr(self, name) for name in names}, option=FOLDER_OPTION)


class _Busy(http.HTTPError):
    """The server asks for patience."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        super().__init__(f"the server is busy: {status_of(response)}")
        self.seconds: float | None = None
        """After which it wants to be asked again; None if it does not say."""
        with suppress(http.HTTPError, ValueError, OverflowError):
            self.seconds = _WAITS.get_retry_after(response)


def _complete(partial: _Partial) -> Steps[None]:
    """Ask for what is missing until the file is whole."""
    waits = _WAITS
    with Connections() as connections:
        while True:
            try:
                yield from _ask(connections, partial)
                return
            except http.HTTPError as error:
                cause = error.reason if isinstance(error, http.MaxRetryError) and error.reason else error
                reason = describe(cause)
                if partial.done > partial.furthest:
                    waits, partial.furthest = _WAITS, partial.done
                try:
                    if is_final(cause):
                        raise error  # asking again would give the same
                    waits = waits.increment("GET", partial.url, error=error)
                except http.HTTPError:
                    raise AssetError(partial.url, reason, advice=ADVICE) from error
                wished = error.seconds if isinstance(error, _Busy) else None
                seconds = min(_LONGEST_WAIT_SECONDS, wished or waits.get_backoff_time())
            yield from _wait(seconds, f"{partial.name}: {reason}; asking again in {seconds:.0f} s")


def _ask(connections: Connections, partial: _Partial) -> Steps[None]:
    """Ask once for what is missing; raise HTTPError if it may come later, AssetError if it never will."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "infersent-tui"}
    if partial.start:
        headers |= {"Range": f"bytes={partial.start}-", "If-Range": partial.validator}
    stage = f"fetching {partial.name}"
    yield Progress(stage, partial.start / 1e6, partial.total / 1e6, "MB")
    answer = connections.ask(partial.url, headers)
    response = answer.response
    try:
        if not _has_more(answer, partial):
            return
        block = response.read(START_BYTES, decode_content=False)
        if response.status == 200:
            if is_page(block):
                text = "a web page came in place of the file"
                raise AssetError(partial.url, text, advice="open the address in a browser to read it; " + ADVICE)
            if not block:
                raise http.ProtocolError("the answer is empty")
            partial.begin(answer)
        while block:
            partial.append(block)
            yield Progress(stage, partial.done / 1e6, partial.total / 1e6, "MB")
            block = response.read1(_BLOCK_BYTES, decode_content=False)
        if partial.done < partial.total:
            raise http.ProtocolError("the connection ended early")
    finally:
        response.close()


def _has_more(answer: Answer, partial: _Partial) -> bool:
    """Check an answer and tell whether its body belongs to the file."""
    response = answer.response
    if response.status in _BUSY:
        raise _Busy(response)
    start, length = range_of(response)
    if response.status == 416:
        if partial.start and length == partial.start and response.headers.get("ETag", partial.etag) == partial.etag:
            return False
        partial.start_over()
        raise http.ProtocolError("the server has another file now")
    if response.status not in (200, 206):
        raise AssetError(partial.url, f"the server answers: {status_of(response)}", advice=ADVICE)
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        text = f"the server sends it packed ({response.headers['Content-Encoding']}), unasked"
        raise AssetError(partial.url, text, advice=ADVICE)
    if response.status == 206:
        is_rest = bool(partial.start) and start == partial.start and length in (0, partial.total or length)
        if not is_rest or not partial.is_of(answer):
            partial.start_over()
            raise http.ProtocolError("the server sent another part than the one asked for")
        partial.expect(length or partial.total)
        partial.furthest = partial.start  # fewer than before, where a larger part of another file was dropped
    return True


def _wait(seconds: float, why: str) -> Steps[None]:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        yield Progress(why, 0, 0, "")
        time.sleep(min(0.2, left))
