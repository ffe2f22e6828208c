"""Count the requests and bytes of a search in a bucket, and the size and building time of an index, by width."""

from __future__ import annotations

import http.client
import os
import threading
import time
import uuid
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from benchmarks.material import rows_that_share_a_mean, temporary_folder

_SIZES = ((70_000, 1024), (70_000, 4096), (280_000, 1024))
_QUERIES = 20


class _Counted:
    """A server on this machine that passes requests on to another one, and counts them."""

    def __init__(self, address: str) -> None:
        self.requests = self.bytes = 0
        lock, counted, upstream = threading.Lock(), self, urlsplit(address).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                connection = http.client.HTTPConnection(upstream)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                data = answer.read()
                with lock:
                    counted.requests += 1
                    counted.bytes += len(data)
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", length)
                self.end_headers()
                self.wfile.write(data)
                connection.close()

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass

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


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure stores of random rows that share a mean, as the embeddings of captions do."""
    from moto.server import ThreadedMotoServer

    figures: dict[str, Any] = {
        "question": "a store in a bucket, random unit rows, the default of an approximate search"
    }
    os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    os.environ |= {"AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "1"}
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        for n, dim in ((2_000, 64),) if quick else _SIZES:
            with temporary_folder() as folder:
                figures[f"{n:,} captions, {dim:,} features"] = _measure(n, dim, Path(folder), f"http://{host}:{port}")
    finally:
        server.stop()
    return figures


def _measure(n: int, dim: int, folder: Path, address: str) -> dict[str, Any]:
    import boto3

    from core.cluster.connection import Connection
    from core.cluster.schema import Approximation
    from core.cluster.searching import StoreSearcher
    from core.cluster.sources import Source
    from core.cluster.stored import StoredRows
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

    client, bucket = boto3.client("s3", endpoint_url=address), uuid.uuid4().hex
    client.create_bucket(Bucket=bucket)
    for path in sorted((folder / "store").rglob("*")):
        if path.is_file():
            client.upload_file(str(path), bucket, f"store/{path.relative_to(folder / 'store')}")
    counted = _Counted(address)
    os.environ["AWS_ENDPOINT_URL"] = counted.address
    how = Approximation() if about.recall else None
    connection = Connection(f"s3://{bucket}/store")
    searcher = StoreSearcher(connection, StoredRows(connection, replace(about)), how)
    figures: dict[str, Any] = {
        "write_and_index_s": seconds,
        "index_bytes_per_caption": size / n,
        "recall_at_10": dict(about.recall),
        "opening": counted.since((0, 0)),
    }
    rng, times = np.random.default_rng(1), []
    queries = matrix.rows[rng.choice(n, 1 + _QUERIES, replace=False)].astype(np.float32)  # (1 + Q, D)
    queries += rng.normal(size=queries.shape) * 0.3 / dim**0.5
    before = counted.now
    searcher.nearest(queries[0])
    figures["first search"] = counted.since(before)
    before = counted.now
    for query in queries[1:]:
        began = time.monotonic()
        searcher.nearest(query)
        times.append(time.monotonic() - began)
    each = {name: value / _QUERIES for name, value in counted.since(before).items()}
    return figures | {"each later search": each, "search_p50_ms": 1000 * float(np.median(times))}
