"""A web server for tests: its answers are taken from a list, one a request; the last one serves all further ones."""

from __future__ import annotations

import io
import ssl
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Give:
    """How a server answers a request for a file; by default as it should."""

    content: bytes = b""
    stop: int | None = None
    """Bytes of the body after which the connection is closed."""
    stall: float = 0
    """Seconds for which nothing is sent after those bytes."""
    status: int | None = None
    """Status in place of the right one; the content is then its body."""
    ranges: bool = True
    """Whether `Range` is heeded."""
    etag: str | None = '"1"'
    headers: dict[str, str | None] = field(default_factory=dict)
    """More headers; None leaves one out."""
    chunked: bool = False
    chunk_bytes: int = 1 << 40
    """Bytes of each chunk of a chunked answer; the last one may have fewer."""
    interim: float = 0
    """Seconds for which interim answers are sent before the true one."""


class Server(ThreadingHTTPServer):
    """The server; `seen` has the path and the headers of each request."""

    daemon_threads = True

    def __init__(self, answers: Sequence[Give], files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.files = files
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.server_port}"

    @property
    def ranges(self) -> list[str | None]:
        """The ranges that were asked for."""
        return [headers.get("Range") for _, headers in self.seen]

    def handle_error(self, request: Any, address: Any) -> None:
        """Keep quiet about connections that a client breaks off."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        if server.files:
            content = server.files.get(self.path.rpartition("/")[2])
            give = Give(b"no such file", status=404) if content is None else Give(content)
        else:
            give = server.answers[min(len(server.seen), len(server.answers) - 1)]
        server.seen.append((self.path, dict(self.headers)))
        start, length = 0, len(give.content)
        until = time.monotonic() + give.interim
        while time.monotonic() < until:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
            time.sleep(0.05)
        asked = self.headers.get("Range")
        signs = (None, give.etag, give.headers.get("Last-Modified"))
        if asked and give.ranges and give.status is None and self.headers.get("If-Range") in signs:
            start = int(asked[6:-1])
        headers: dict[str, str | None] = {"ETag": give.etag}
        status = give.status or 200
        body = give.content[start:]
        if start >= length > 0 and give.status is None:
            status, body, headers = 416, b"", {"Content-Range": f"bytes */{length}"}
        elif start:
            status, headers = 206, headers | {"Content-Range": f"bytes {start}-{length - 1}/{length}"}
        headers |= {"Transfer-Encoding": "chunked"} if give.chunked else {"Content-Length": str(len(body))}
        self.send_response(status)
        for name, value in (headers | give.headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        sent = body if give.stop is None else body[: give.stop]
        if give.chunked:
            chunks = [sent[at : at + give.chunk_bytes] for at in range(0, len(sent), give.chunk_bytes)]
            sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
            sent += b"0\r\n\r\n" if give.stop is None else b""
        self.wfile.write(sent)
        self.wfile.flush()
        time.sleep(give.stall)
        if give.stop is not None or "Content-Length" in give.headers:
            self.close_connection = True

    do_CONNECT = do_GET  # as a proxy that refuses


@contextmanager
def serving(
    *answers: Give, files: Mapping[str, bytes] | None = None, secure: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """Run a server while the block runs: with these answers one after the other, or with files by their names."""
    server = Server(answers, files or {})
    if secure is not None:
        server.socket, server.scheme = secure.wrap_socket(server.socket, server_side=True), "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def packed(packing: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    """A zip archive of files by their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
