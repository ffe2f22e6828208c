"""Download: a file from a web server that appears whole or not at all; a broken download goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from urllib3 import BaseHTTPResponse
from urllib3 import exceptions as http
from urllib3.util import Retry

from core.assets import AssetError
from core.shortage import is_of_machine
from core.store.disk import sync
from core.store.hashing import file_sha256
from core.store.pages import START_BYTES, is_page
from core.store.partial import Partial, delete_partial
from core.store.progress import Progress, Steps
from core.store.ticks import with_ticks
from core.store.web import Answer, Connections, check_address, describe, is_final, is_unreachable, range_of, status_of

ANOTHER_SERVER: Final = "name another server with --mirror"
"""Advice that helps against most faults of a server."""
_BLOCK_BYTES = 1 << 18
_SILENT_SECONDS = 60.0  # twice the time without a byte after which a connection counts as stalled
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
    elsewhere: str = ANOTHER_SERVER,
) -> Steps[None]:
    """Download a file. Of one path, one process at a time may call this.

    Until the file is whole, `NAME.partial` holds what has come. A server that still has the same file, by its ETag or
    date, is asked for the rest alone; where there is a checksum, any server whose file is as long is. It is asked
    again, later each time, when the connection fails, stalls for 30 s, or the server is busy; six times without a byte
    more end the download, or once where there is no connection and nothing has ever come: its address is likely wrong.
    What has come and cannot be gone on with stays until the body of the whole file comes.

    Args:
        url: Address, http or https; the variables `http_proxy`, `https_proxy` and `no_proxy` count.
        path: Where the file will be, in a folder that exists.
        most_bytes: A larger file is refused.
        checksum: What it must have; None for any.
        check: Looks at the whole file before it gets its name, and raises `AssetError` if it is not what it should be.
        elsewhere: How to have the file from another server, for errors.

    Raises:
        AssetError: The server does not have the file, cannot be reached or sends something else; the checksum differs.
        OSError, MemoryError: The disk is full or fails, or the memory is full. What has come is kept.
    """
    check_address(url)
    with Partial(url, path, most_bytes, is_checked=checksum is not None, elsewhere=elsewhere) as partial:
        if checksum is None:
            yield from _complete(partial)
        elif (digest := (yield from _come_with(checksum, partial))) != checksum.sha256:
            advice = f"fetch it again; if that stays so, {elsewhere}; or, if you trust what came, which is kept, use it"
            advice += f" by its checksum: --sha256 {digest}"
            raise AssetError(url, f"what came has another checksum: {digest}", expected=str(checksum), advice=advice)
    try:
        if check is not None:
            yield from check(partial.path)
    except AssetError as error:
        if error.__cause__ is not None and is_of_machine(error.__cause__):
            raise error.__cause__ from None
        delete_partial(path)
        advice = f"fetch it again; if that stays so, {elsewhere}"  # its own is about a file that is there
        raise AssetError(url, error.found, expected=error.expected, advice=advice) from error
    partial.path.rename(path)
    sync(path.parent)
    delete_partial(path)


def _come_with(checksum: Checksum, partial: Partial) -> Steps[str]:
    """Let the file come and return its checksum.

    It comes once more where a wrong one may be due to joined parts, or is that of what an earlier run left.
    """
    if was_whole := partial.is_whole:
        why = "they have another checksum"
    else:
        yield from _complete(partial)
        why = "its parts together have another checksum"
    digest = yield from file_sha256(partial.path, stage=f"checking {partial.name}")
    if digest == checksum.sha256 or not (was_whole or partial.is_joined):
        return digest
    partial.start_over(why)
    yield from _complete(partial)
    return (yield from file_sha256(partial.path, stage=f"checking {partial.name}"))


class _Busy(http.HTTPError):
    """The server asks for patience."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        super().__init__(f"the server is busy: {status_of(response)}")
        self.seconds: float | None = None
        """After which it wants to be asked again; None if it does not say."""
        with suppress(http.HTTPError, ValueError, OverflowError):
            self.seconds = _WAITS.get_retry_after(response)


def _complete(partial: Partial) -> Steps[None]:
    """Ask for what is missing until the file is whole."""
    waits = _WAITS
    with Connections() as connections:
        while True:
            try:
                yield from _ask(connections, partial)
                partial.finish()
                return
            except AssetError as error:
                if error.advice:
                    raise
                advice = partial.advice()
                raise AssetError(error.path, error.found, expected=error.expected, advice=advice) from error
            except http.HTTPError as error:
                cause = error.reason if isinstance(error, http.MaxRetryError) and error.reason else error
                reason = describe(cause)
                if partial.done > partial.furthest:
                    waits, partial.furthest = _WAITS, partial.done
                try:
                    has_come = partial.furthest > 0
                    if is_final(cause) or (is_unreachable(cause) and waits is not _WAITS and not has_come):
                        raise error  # asking again would give the same
                    waits = waits.increment("GET", partial.url, error=error)
                except http.HTTPError:
                    first = "fetch it again later" if isinstance(error, _Busy) else "check the network"
                    raise AssetError(partial.url, reason, advice=partial.advice(first)) from error
                wished = error.seconds if isinstance(error, _Busy) else None
                seconds = min(_LONGEST_WAIT_SECONDS, wished or waits.get_backoff_time())
            yield from _wait(seconds, f"{partial.name}: {reason}; asking again in {seconds:.0f} s")


def _ask(connections: Connections, partial: Partial) -> Steps[None]:
    """Ask once for what is missing; raise HTTPError if it may come later, AssetError if it never will."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "infersent-tui", **partial.request}
    stage = f"fetching {partial.name}"
    answer, done = None, partial.start
    yield Progress(stage, done / 1e6, partial.total / 1e6, "MB")
    with closing(with_ticks(_received(connections, partial.url, headers))) as received:
        came_at = time.monotonic()
        for item in received:
            if item is not None:
                came_at = time.monotonic()
            elif time.monotonic() - came_at > _SILENT_SECONDS:  # in spite of signs of life, such as interim answers
                raise http.ProtocolError(f"nothing of the file came for {_SILENT_SECONDS:.0f} s")
            if isinstance(item, Answer):
                answer = item
                if not _has_more(answer, partial):
                    return
            elif item is not None:
                if answer is not None and answer.response.status == 200:
                    yield from _begin(partial, answer, item)
                    answer = None
                partial.append(item)
                done = partial.done
            else:
                partial.keep()
            yield Progress(stage, done / 1e6, partial.total / 1e6, "MB")
    if partial.done < partial.total:
        raise http.ProtocolError("the connection ended early")


def _received(connections: Connections, url: str, headers: dict[str, str]) -> Generator[Answer | bytes, None, None]:
    """Yield a server's answer, then its body in blocks: first enough to recognise a page, which may be empty."""
    answer = connections.ask(url, headers)
    try:
        yield answer
        yield answer.response.read(START_BYTES, decode_content=False)
        while block := answer.response.read1(_BLOCK_BYTES, decode_content=False):
            yield block
    finally:
        answer.response.close()


def _begin(partial: Partial, answer: Answer, block: bytes) -> Steps[None]:
    """Drop what has come, for the beginning of the whole file; raise an error if it is none."""
    if is_page(block):
        text = "a web page came in place of the file"
        raise AssetError(partial.url, text, advice=partial.advice("open the address in a browser to read it"))
    if not block:
        raise http.ProtocolError("the answer is empty")
    loss = partial.loss(answer)
    partial.begin(answer)
    if loss:
        yield Progress(loss, 0, 0, "", is_remark=True)


def _has_more(answer: Answer, partial: Partial) -> bool:
    """Check an answer and tell whether its body belongs to the file."""
    response = answer.response
    if response.status in _BUSY:
        raise _Busy(response)
    start, length = range_of(response)
    if response.status == 416:
        etag = response.headers.get("ETag")
        is_same = partial.total in (0, length) if etag is None else etag == partial.etag
        if partial.start and length == partial.start and (is_same or partial.is_joinable):
            return False
        has_asked = partial.start > 0  # else the server refuses what nobody asked for
        partial.start_over(why := "the server has another file now" if has_asked else "the server refuses a part of it")
        raise http.ProtocolError(why)
    if response.status not in (200, 206):
        found = f"the server answers: {status_of(response)}"
        raise AssetError(partial.url, found, advice=_advice_for(response.status, partial))
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        text = f"the server sends it packed ({response.headers['Content-Encoding']}), unasked"
        raise AssetError(partial.url, text, advice=partial.advice())
    if response.status == 206:
        total = length or partial.total  # of neither, nothing would tell where the rest ends
        is_rest = start == partial.start > 0 and 0 < total == (partial.total or total)
        if not is_rest or not partial.join(answer, length):
            partial.start_over(why := "the server sent another part than the one asked for")
            raise http.ProtocolError(why)
        partial.expect(total)
        partial.furthest = partial.start  # fewer than before, where a larger part of another file was dropped
    return True


def _advice_for(status: int, partial: Partial) -> str:
    if status in (404, 410):
        return f"{partial.advice()}; the folder of a mirror needs {partial.name}"
    if status in (401, 403):
        return partial.advice("open the address in a browser to see what the server wants")
    return partial.advice("fetch it again later")


def _wait(seconds: float, why: str) -> Steps[None]:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        yield Progress(why, 0, 0, "")
        time.sleep(min(0.2, left))
