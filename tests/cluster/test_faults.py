"""Stores in a bucket, and stores that are lost, damaged, of another version, or on a full disk."""

import json
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest

from cluster.conftest import explore, store_of
from core.assets import AssetError
from core.cluster.connection import Connection
from core.cluster.schema import ABOUT, FORMAT


def test_a_store_in_a_bucket_answers_as_one_in_a_folder(local, files, bucket):
    store_of(local.opened, bucket)
    stored = explore(files, bucket)
    for text in ("a dog on a beach", local.opened.captions.texts[7]):
        assert stored.ask(text).hits.rows.tolist() == local.ask(text).hits.rows.tolist()


def test_a_bucket_that_is_not_there_is_told(files, bucket):
    with pytest.raises(AssetError, match="s3://nowhere/store: "):
        explore(files, "s3://nowhere/store")


def test_a_bucket_without_rights_is_told(local, files, bucket, monkeypatch):
    class Refusing(BaseHTTPRequestHandler):
        def refuse(self):
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = refuse

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        for use in (lambda: explore(files, bucket), lambda: store_of(local.opened, bucket)):
            with pytest.raises(AssetError) as refusal:
                use()
            assert "check your rights there" in refusal.value.advice
        server.shutdown()


def test_a_server_that_does_not_answer_is_told_and_asked_again_once_it_does(local, files, bucket, monkeypatch):
    store_of(local.opened, bucket)
    monkeypatch.setattr(
        "core.cluster.connection._REMOTE",
        {"timeout": "2s", "connect_timeout": "1s", "client_max_retries": "1", "client_retry_timeout": "2"},
    )
    with socket.socket() as silent, monkeypatch.context() as patch:
        silent.bind(("127.0.0.1", 0))  # nobody listens
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(AssetError) as failure:
            explore(files, bucket)
    assert "check the address and the network" in failure.value.advice
    assert len(explore(files, bucket).ask("a dog").hits)


def test_a_store_that_is_lost_while_it_is_asked_is_told_and_recovered_from(stored, store):
    answer = stored.ask("a dog")
    lost = Path(store).with_name("elsewhere")
    shutil.move(store, lost)
    with pytest.raises(AssetError, match="cannot be used"):
        stored.ask("a dog on a beach")
    shutil.move(lost, store)
    assert stored.ask("a dog").hits.rows.tolist() == answer.hits.rows.tolist()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"format": 99}, "it is of format 99"),
        ({"format": FORMAT}, "missing or not known: captions"),
        ([], "not readable"),
    ],
)
def test_a_store_of_another_version_or_with_a_damaged_description_is_refused_until_it_is_deleted(
    local, files, store, document, message
):
    table = pa.table({"document": [json.dumps(document)]})
    Connection(store)._database.create_table(ABOUT, table, mode="overwrite")
    with pytest.raises(AssetError, match=message) as failure:
        explore(files, store)
    assert "delete this one first" in failure.value.advice
    with pytest.raises(AssetError, match=message):
        store_of(local.opened, Path(store))
    shutil.rmtree(store)
    store_of(local.opened, Path(store))
    assert explore(files, store).ask("a dog").hits.rows.tolist() == local.ask("a dog").hits.rows.tolist()


def test_a_store_without_one_of_its_files_is_told_when_that_is_read(files, store):
    for path in sorted(Path(store, "captions.lance", "data").iterdir()):
        path.unlink()
    with pytest.raises(AssetError, match="cannot be used") as failure:
        explore(files, store)
    assert failure.value.advice


def test_a_sample_that_is_damaged_in_the_cache_is_read_anew(files, store, stored):
    folder = stored.opened.sample.matrix.folder
    (folder / "captions.arrow").write_bytes(b"no captions")
    again = explore(files, store)
    assert again.opened.sample.captions.texts == stored.opened.sample.captions.texts


def test_a_sample_is_read_once_and_never_for_another_store(files, store, stored, monkeypatch):
    monkeypatch.setattr("core.cluster.sample._read", lambda *_: pytest.fail("the sample is read again"))
    assert explore(files, store).opened.sample.captions.texts == stored.opened.sample.captions.texts
