"""Count the requests and bytes of a search in a bucket, and the size and building time of an index, by width."""

from __future__ import annotations

import os
import re
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from benchmarks.material import rows_that_share_a_mean, temporary_folder

_SIZES = ((70_000, 1024), (280_000, 1024), (70_000, 4096), (420_000, 4096))
_QUERIES = 20


class _Bucket:
    """A server on this machine of the files in a folder, as of a bucket that is only read; it counts what it sends."""

    def __init__(self, folder: Path) -> None:
        self.requests = self.bytes = 0
        lock, counted = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                address = urlsplit(self.path)
                wanted = {name: values[0] for name, values in parse_qs(address.query).items()}
                path = folder / unquote(address.path).lstrip("/").partition("/")[2]
                if "list-type" in wanted:
                    self._send(200, _listed(folder, wanted.get("prefix", ""), wanted.get("delimiter", "")), {})
                elif not path.is_file():
                    self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", {})
                else:
                    size = path.stat().st_size
                    first, last = _range(self.headers.get("Range", ""), size)
                    with path.open("rb") as file:
                        file.seek(first)
                        data = file.read(last - first + 1)
                    part = {"Content-Range": f"bytes {first}-{last}/{size}"} if "Range" in self.headers else {}
                    modified = formatdate(path.stat().st_mtime, usegmt=True)
                    self._send(206 if part else 200, data, part | {"Last-Modified": modified, "ETag": '"1"'})

            do_GET = do_HEAD = _answer

            def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
                with lock:
                    counted.requests += 1
                    counted.bytes += len(data)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def since(self, before: tuple[int, int]) -> dict[str, float]:
        """Return the requests and megabytes since `now` was asked."""
        return {"requests": self.requests - before[0], "mb": (self.bytes - before[1]) / 1e6}

    @property
    def now(self) -> tuple[int, int]:
        """What was counted so far."""
        return self.requests, self.bytes


def _range(text: str, size: int) -> tuple[int, int]:
    """Return the first and the last byte that a header asks for."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text)
    if match is None:
        return 0, size - 1
    if not match[1]:
        return max(0, size - int(match[2])), size - 1
    return int(match[1]), min(int(match[2] or size), size - 1)


def _listed(folder: Path, prefix: str, delimiter: str) -> bytes:
    """Return the files and folders that begin with a prefix, as S3 lists them."""
    keys, folders = [], set()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        key = str(path.relative_to(folder))
        if not key.startswith(prefix):
            continue
        inner, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        if found:
            folders.add(f"{prefix}{inner}{delimiter}")
        else:
            keys.append(
                f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>1</ETag><Size>{path.stat().st_size}</Size></Contents>"
            )
    prefixes = [f"<CommonPrefixes><Prefix>{each}</Prefix></CommonPrefixes>" for each in sorted(folders)]
    parts = ["<IsTruncated>false</IsTruncated>", *keys, *prefixes]
    return f"<ListBucketResult>{''.join(parts)}</ListBucketResult>".encode()


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure stores of random rows that share a mean, as the embeddings of captions do."""
    figures: dict[str, Any] = {"question": "a store in a bucket, random unit rows, searched as by default"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    os.environ |= {"AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "1"}
    for n, dim in ((2_000, 64),) if quick else _SIZES:
        with temporary_folder() as folder:
            figures[f"{n:,} captions, {dim:,} features"] = _measure(n, dim, Path(folder))
    return figures


def _measure(n: int, dim: int, folder: Path) -> dict[str, Any]:
    from core.cluster.connection import Connection
    from core.cluster.schema import Approximation
    from core.cluster.searching import StoreSearcher
    from core.cluster.sources import Source
    from core.cluster.stored_rows import StoredRows
    from core.cluster.writing import write_store
    from core.corpus.captions import Captions
    from core.encoding.recipe import Recipe
    from core.store.progress import finish

    matrix = rows_that_share_a_mean(n, dim)
    captions = Captions("random", [f"caption {i}" for i in range(n)], np.arange(n), np.arange(n) // 5, {}, {})
    source = Source(
        captions=captions,
        sentences=matrix.sentences,
        recipe=Recipe("", "", "", 2, "", 0, "given"),
        name="random",
        model="random",
        dim=dim,
        rows=np.arange(n),
        sampled=np.random.default_rng(0).random(n) < 0.1,
        read=lambda start, stop: (matrix.rows[start:stop], matrix.row_norms[start:stop]),
    )
    began = time.monotonic()
    about = finish(write_store(source, Connection(str(folder / "store"), must_exist=False)))
    seconds = time.monotonic() - began
    size = sum(each.stat().st_size for each in folder.rglob("_indices/*/auxiliary.idx"))

    counted = _Bucket(folder)
    os.environ["AWS_ENDPOINT_URL"] = counted.address
    how = Approximation() if about.recall else None
    rng = np.random.default_rng(1)
    queries = matrix.rows[rng.choice(n, 1 + _QUERIES, replace=False)].astype(np.float32)  # (1 + Q, D)
    queries += rng.normal(size=queries.shape) * 0.3 / dim**0.5

    def searcher_of(connection: Connection, how: Approximation | None) -> StoreSearcher:
        return StoreSearcher(connection, StoredRows(connection, about), how)

    in_folder, in_bucket = Connection(str(folder / "store")), Connection("s3://bucket/store")
    figures: dict[str, Any] = {
        "write_and_index_s": seconds,
        "index_bytes_per_caption": size / n,
        "search_p50_ms": _time(searcher_of(in_folder, how), queries),
        "exact_search_p50_ms": _time(searcher_of(in_folder, None), queries[:8]),
    }
    before = counted.now
    searcher = searcher_of(in_bucket, how)
    figures["opening in the bucket"] = counted.since(before)
    before = counted.now
    searcher.nearest(queries[0])
    figures["first search there"] = counted.since(before)
    before = counted.now
    figures["search_there_p50_ms"] = _time(searcher, queries[1:])
    figures["each later search there"] = {name: value / _QUERIES for name, value in counted.since(before).items()}
    return figures


def _time(searcher: Any, queries: NDArray[np.float32]) -> float:
    """Return the median milliseconds of a search."""
    times = []
    for query in queries:
        began = time.monotonic()
        searcher.nearest(query)
        times.append(1000 * (time.monotonic() - began))
    return float(np.median(times))
