"""Download: a file from a web server that appears whole or not at all; a broken download goes on where it stopped."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from urllib3 import BaseHTTPResponse, PoolManager
from urllib3 import exceptions as http
from urllib3.util import Retry

from core.assets import AssetError
from core.store.disk import sync
from core.store.hashing import file_sha256
from core.store.pages import START_BYTES, is_page
from core.store.progress import Progress, Steps
from core.store.web import ADVICE, ask, check_address, connections, describe, is_final, range_of
from core.store.whole import read_json, write_json

FOLDER_OPTION = "--data-dir"
"""The option that names the folder of downloads."""
_BLOCK_BYTES = 1 << 18
_SYNC_BYTES = 16 << 20  # bytes between two times that what has come is synced to the disk
_LONGEST_WAIT_SECONDS = 120  # whatever a server wishes
_WAITS = Retry(total=6, backoff_factor=0.5, backoff_max=60)
_BUSY = (408, 425, 429, 500, 502, 503, 504)


def download(
    url: str,
    path: Path,
    *,
    most_bytes: int,
    sha256: str | None = None,
    check: Callable[[Path], Steps[None]] | None = None,
) -> Steps[None]:
    """Download a file. Of one path, one process at a time may call this.

    Until the file is whole, `NAME.partial` holds what has come. A server that still has the same file, by its ETag or
    date, is asked for the rest alone. It is asked again, later each time, when the connection fails, stalls for 30 s,
    or the server is busy; six times without a byte more end the download.

    Args:
        url: Address, http or https; the variables `http_proxy`, `https_proxy` and `no_proxy` count.
        path: Where the file will be, in a folder that exists.
        most_bytes: A larger file is refused.
        sha256: The checksum that it must have, hexadecimal; None for any.
        check: Looks at the whole file before it gets its name, and raises `AssetError` if it is not what it should be.

    Raises:
        AssetError: The server does not have the file, cannot be reached or sends something else; the checksum differs.
        OSError, MemoryError: The disk is full or fails, or the memory is full. What has come is kept.
    """
    check_address(url)
    with _Partial(url, path, most_bytes) as partial:
        yield from _complete(partial)
    try:
        if sha256 is not None:
            yield from _compare(partial.path, sha256.lower())
        if check is not None:
            yield from check(partial.path)
    except AssetError as error:
        if error.__cause__ is not None and is_of_machine(error.__cause__):
            raise error.__cause__ from error
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


def _compare(path: Path, sha256: str) -> Steps[None]:
    digest = yield from file_sha256(path, stage=f"checking {path.name.removesuffix('.partial')}")
    if digest != sha256:
        advice = "fetch it again; if that stays so, name another server with --mirror, or the checksum you trust"
        raise AssetError(
            path, f"what came has another checksum: {digest}", expected=sha256, advice=f"{advice} (--sha256)"
        )


class _Partial:
    """What is on disk of a file that has not come whole, and of which state of the server's file it is a part."""

    def __init__(self, url: str, path: Path, most_bytes: int) -> None:
        self.url = url
        self.name = path.name
        self.path = _part_of(path)
        self.etag = self.modified = ""
        self.total = 0
        """Bytes of the whole file; 0 where the server does not say."""
        self.done = 0
        """Bytes that have come."""
        self._most_bytes = most_bytes
        self._synced = 0
        self._about = _about_of(path)

    def __enter__(self) -> _Partial:
        """Open the file and cut off what may not have reached the disk before a power cut."""
        known = {}
        with suppress(OSError, ValueError):
            known = read_json(self._about)
        if self.path.is_symlink():
            self.path.unlink()  # what it names is not of this download
        self._file = self.path.open("ab")
        with suppress(KeyError, TypeError, ValueError):
            if known["url"] == self.url and 0 <= known["done"] <= self._file.tell():
                self.etag, self.modified, self.total = str(known["etag"]), str(known["modified"]), int(known["total"])
                self.done = int(known["done"])
        self._cut(self.done if self.validator else 0)
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

    def begin(self, response: BaseHTTPResponse) -> None:
        """Start anew with a response that has the whole file."""
        length = response.headers.get("Content-Length", "")
        is_length = re.fullmatch(r"\d{1,15}", length) and "Transfer-Encoding" not in response.headers
        self.etag, self.modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        self._cut(0)
        self.expect(int(length) if is_length else 0)

    def expect(self, total: int) -> None:
        """Note the bytes of the whole file, 0 for an unknown number."""
        self.total = total
        self._refuse_beyond(total)

    def is_of(self, response: BaseHTTPResponse) -> bool:
        """Tell whether a response is about the state of the file of which this is a part."""
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        return etag in ("", self.etag) and (modified in ("", self.modified) or bool(etag))

    def forget(self) -> None:
        """Drop what has come, since the server now has another file."""
        self.etag, self.modified, self.total = "", "", 0
        self._cut(0)

    def append(self, block: bytes) -> None:
        """Add what has come."""
        self._refuse_beyond(self.done + len(block))
        self._file.write(block)
        self.done += len(block)
        if self.done - self._synced >= _SYNC_BYTES:
            self._sync()

    def _refuse_beyond(self, size: int) -> None:
        if size > self._most_bytes:
            self.forget()
            found = f"the file has at least {size / 1e6:,.0f} MB"
            raise AssetError(
                self.url, found, expected=f"at most {self._most_bytes / 1e6:,.0f} MB", advice="name another --mirror"
            )

    def _cut(self, done: int) -> None:
        self._file.truncate(done)
        self._synced = self.done = done

    def _sync(self) -> None:
        self._file.flush()
        sync(self.path)
        self._synced = self.done
        names = ("url", "etag", "modified", "total", "done")
        write_json(self._about, {name: getattr(self, name) for name in names}, option=FOLDER_OPTION)


class _Busy(http.HTTPError):
    """The server asks for patience."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        super().__init__(f"the server is busy: {response.status} {response.reason or ''}")
        self.seconds: float | None = None
        """After which it wants to be asked again; None if it does not say."""
        with suppress(http.HTTPError, ValueError, OverflowError):
            self.seconds = _WAITS.get_retry_after(response)


def _complete(partial: _Partial) -> Steps[None]:
    """Ask for what is missing until the file is whole."""
    waits, furthest = _WAITS, partial.done
    with connections(partial.url) as pool:
        while True:
            try:
                yield from _ask(pool, partial)
                return
            except http.HTTPError as error:
                cause = error.reason if isinstance(error, http.MaxRetryError) and error.reason else error
                reason = describe(cause)
                if partial.done > furthest:
                    waits, furthest = _WAITS, partial.done
                try:
                    if is_final(cause):
                        raise error  # asking again would give the same
                    waits = waits.increment("GET", partial.url, error=error)
                except http.HTTPError:
                    raise AssetError(partial.url, reason, advice=ADVICE) from error
                wished = error.seconds if isinstance(error, _Busy) else None
                seconds = min(_LONGEST_WAIT_SECONDS, wished or waits.get_backoff_time())
            yield from _wait(seconds, f"{partial.name}: {reason}; asking again in {seconds:.0f} s")


def _ask(pool: PoolManager, partial: _Partial) -> Steps[None]:
    """Ask once for what is missing; raise HTTPError if it may come later, AssetError if it never will."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "infersent-tui"}
    if partial.done and not partial.validator:
        partial.forget()
    if partial.done:
        headers |= {"Range": f"bytes={partial.done}-", "If-Range": partial.validator}
    stage = f"fetching {partial.name}"
    yield Progress(stage, partial.done / 1e6, partial.total / 1e6, "MB")
    response = ask(pool, partial.url, headers)
    try:
        if not _has_more(response, partial):
            return
        block = response.read(START_BYTES, decode_content=False)
        if response.status == 200:
            if is_page(block):
                text = "a web page came in place of the file"
                raise AssetError(partial.url, text, advice="open the address in a browser to read it; " + ADVICE)
            partial.begin(response)
        while block:
            partial.append(block)
            yield Progress(stage, partial.done / 1e6, partial.total / 1e6, "MB")
            block = response.read1(_BLOCK_BYTES, decode_content=False)
        if partial.done < partial.total:
            raise http.ProtocolError("the connection ended early")
    finally:
        response.close()


def _has_more(response: BaseHTTPResponse, partial: _Partial) -> bool:
    """Check a response and tell whether its body belongs to the file."""
    status = response.status
    if status in _BUSY:
        raise _Busy(response)
    if status == 416:
        length = range_of(response)[1]
        if partial.done and length == partial.done:
            return False
        partial.forget()
        raise http.ProtocolError("the server has another file now")
    if status not in (200, 206):
        raise AssetError(partial.url, f"the server answers: {status} {response.reason or ''}".rstrip(), advice=ADVICE)
    if response.headers.get("Content-Encoding", "identity") not in ("", "identity"):
        text = f"the server sends it packed ({response.headers['Content-Encoding']}), unasked"
        raise AssetError(partial.url, text, advice=ADVICE)
    if status == 206:
        start, length = range_of(response)
        is_rest = bool(partial.done) and start == partial.done and length in (0, partial.total or length)
        if not is_rest or not partial.is_of(response):
            partial.forget()
            raise http.ProtocolError("the server sent another part than the one asked for")
        partial.expect(length or partial.total)
    return True


def _wait(seconds: float, why: str) -> Steps[None]:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        yield Progress(why, 0, 0, "")
        time.sleep(min(0.2, left))
