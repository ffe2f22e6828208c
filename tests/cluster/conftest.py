"""What the tests of a store have in common; they need the extra `cluster`."""

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["LANCEDB_LOG"] = "error"
sys.path.append(str(Path(__file__).parents[1] / "tui"))  # for what the tests of the screen have in common
pytest.importorskip("lancedb")

from conftest import Files

from core.cluster.connection import Connection
from core.cluster.opening import StoredOpened, open_store
from core.cluster.schema import Approximation
from core.cluster.sources import of_matrix
from core.cluster.writing import write_store
from core.explorer import Explorer
from core.opened import Opened
from core.store.cache import Cache
from core.store.progress import finish


def store_of(opened: Opened, address: Path | str) -> str:
    """A store of an opened corpus."""
    finish(write_store(of_matrix(opened), Connection(str(address), must_exist=False)))
    return str(address)


def explore(files: Files, address: str, *, is_exact: bool = True, cache: Path | None = None) -> Explorer:
    """An explorer of a store."""
    steps = open_store(files.setup(), Cache(cache or files.cache), address, how=Approximation(), is_exact=is_exact)
    opened = finish(steps)
    assert isinstance(opened, StoredOpened)
    return Explorer(opened)


@pytest.fixture
def local(files: Files) -> Explorer:
    """The corpus in memory."""
    return files.explorer()


@pytest.fixture
def store(local: Explorer, tmp_path: Path) -> str:
    """The address of a store of the same corpus."""
    return store_of(local.opened, tmp_path / "store")


@pytest.fixture
def stored(files: Files, store: str) -> Explorer:
    """The same corpus in a store, all of whose captions are in the sample."""
    return explore(files, store)


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of a third of the captions."""
    monkeypatch.setattr("core.cluster.schema.SAMPLE", 100)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket of a server on this machine."""
    boto3, server = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    for variable, value in {
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "b",
        "REGION": "us-east-1",
        "ALLOW_HTTP": "1",
    }.items():
        monkeypatch.setenv(f"AWS_{variable}", value)
    name = uuid.uuid4().hex  # all servers of a process have the same buckets
    running = server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    boto3.client("s3", endpoint_url=address, region_name="us-east-1").create_bucket(Bucket=name)
    yield f"s3://{name}/store"
    running.stop()
