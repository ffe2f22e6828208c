"""A Ray cluster of two machines writes the store that one machine would, also when it loses some of what it is."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from conftest import Files, demo_texts, make_files, write_weights
from pyarrow import parquet

from cluster.conftest import explore

os.environ |= {"RAY_ENABLE_AUTO_CONNECT": "0", "RAY_AUTH_MODE": "disabled"}  # before Ray is imported
pytest.importorskip("ray.data")

from core.assets import AssetError
from core.cluster.connection import Connection
from core.cluster.on_ray import EncodedOnRay, encode_on_ray
from core.cluster.schema import CAPTIONS, embeddings_of
from core.explorer import Explorer
from core.store.cache import Cache
from core.store.progress import Progress, Steps, finish

PARTS = 8


class TwoMachines:
    """A cluster of two machines on this one."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args=self._how)
        self._second = None
        self.address = self._cluster.address

    _how: ClassVar = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}

    def complete(self) -> None:
        """Add the second machine, unless it is there."""
        if self._second is None:
            self._second = self._cluster.add_node(**self._how)
            self._cluster.wait_for_nodes()

    def lose_one(self) -> None:
        """Take the second machine away."""
        import ray

        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None
        while sum(node["Alive"] for node in ray.nodes()) > 1:  # it takes a while to be noticed
            time.sleep(0.1)

    def stop(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def machines() -> Iterator[TwoMachines]:
    two = TwoMachines()
    yield two
    two.stop()


@pytest.fixture
def cluster(machines, monkeypatch: pytest.MonkeyPatch) -> TwoMachines:
    """The two machines, for parts of forty captions."""
    monkeypatch.setattr("core.cluster.parts._LEAST_ROWS", 40)
    machines.complete()
    return machines


@pytest.fixture
def folder(local) -> Path:
    """The corpus as two Parquet files."""
    return written(local)


@pytest.fixture
def longer(tmp_path: Path) -> Files:
    """All bundled captions, and an encoder that takes a while for them."""
    (tmp_path / "longer").mkdir()
    files = make_files(tmp_path / "longer", demo_texts(2640))
    write_weights(files.weights, hidden=256)
    return files


def written(explorer: Explorer) -> Path:
    """A folder with the captions of an explorer as two Parquet files."""
    captions, folder = explorer.opened.captions, explorer.opened.setup.assets.captions.parent / "parquet"
    folder.mkdir()
    half, table = (
        len(captions) * 8 // 15,
        pa.table(
            {
                "caption": captions.texts,
                "id": captions.ids,
                "image_id": captions.groups,
                "letters": [len(text) for text in captions.texts],
            }
        ),
    )
    parquet.write_table(table.slice(0, half), folder / "a.parquet", row_group_size=50)
    parquet.write_table(table.slice(half), folder / "b.parquet", row_group_size=50)
    return folder


def encoding(files: Files, folder: Path | str, store: Path | str, address: str) -> Steps[EncodedOnRay]:
    """The work of encoding a folder of captions into a store."""
    connection = Connection(str(store), must_exist=False)
    how = {"device": "cpu", "dtype": "float32"}
    return encode_on_ray(files.setup(), Cache(files.cache), str(folder), connection, address, **how)


def rows_in(store: Path) -> list[int]:
    connection = Connection(str(store))
    return sorted(connection.open(CAPTIONS).to_arrow()["row"].to_pylist())


def encoders(cluster: TwoMachines) -> list[int]:
    """Process ids of what encodes in a cluster."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"ray::MapWorker(Map(Encode))" in path.read_bytes():
                parent = path.with_name("stat").read_text().rpartition(")")[2].split()[1]
                if cluster.address in Path(f"/proc/{parent}/cmdline").read_text():
                    found.append(int(path.parent.name))
    return found


def refused(steps: Steps[EncodedOnRay]) -> AssetError:
    with pytest.raises(AssetError) as error:
        finish(steps)
    return error.value


def test_the_store_is_that_of_one_machine(cluster, files, folder, local, tmp_path):
    done = finish(encoding(files, folder, tmp_path / "store", cluster.address))
    assert (done.parts, done.earlier, done.about.captions) == (PARTS, 0, 300)
    stored = explore(files, str(tmp_path / "store"))
    table = Connection(str(tmp_path / "store")).open(CAPTIONS).to_arrow()
    rows, matrix = table["row"].to_numpy(), local.opened.sample.matrix
    assert sorted(rows.tolist()) == list(range(300))
    np.testing.assert_allclose(embeddings_of(table["embedding"]), matrix.rows[rows], atol=2e-4)  # rounded to float16
    np.testing.assert_allclose(table["norm"], matrix.norms[rows], rtol=1e-6)
    for text in ["a dog on a beach", "a woman - a man", *local.opened.captions.texts[::50]]:
        assert stored.ask(text).hits.rows.tolist() == local.ask(text).hits.rows.tolist()
    assert table["column_2"].to_pylist() == [len(local.opened.captions.texts[row]) for row in rows]
    captions, known = stored.opened.captions, local.opened.captions
    for row in (0, 159, 160, 299):
        assert (captions.texts[row], captions.id(row), captions.group(row)) == (
            known.texts[row],
            known.id(row),
            known.group(row),
        )


def begun(steps: Steps[EncodedOnRay]) -> None:
    """Do some parts, not all, then stop."""
    for progress in steps:
        if progress.stage.startswith("encoding") and progress.done:
            break
    steps.close()


def test_what_a_lost_process_and_a_lost_machine_did_is_done_again(cluster, longer, tmp_path):
    folder, remarks, killed = written(longer.explorer()), [], []

    def see(progress: Progress) -> None:
        remarks.extend([progress.stage] if progress.is_remark else [])
        if progress.stage.startswith("encoding") and progress.done and not killed:
            killed.extend(encoders(cluster))
            for process in killed:
                os.kill(process, signal.SIGKILL)
            cluster.lose_one()

    done = finish(encoding(longer, folder, tmp_path / "store", cluster.address), see)
    assert killed
    assert rows_in(tmp_path / "store") == list(range(2640))
    assert done.lost >= 1
    assert any("lost process was replaced" in remark for remark in remarks)
    assert any(remark.startswith("machine ") for remark in remarks)


def test_an_interrupted_run_is_gone_on_with_from_the_parts_that_are_there(cluster, longer, tmp_path):
    folder = written(longer.explorer())
    begun(encoding(longer, folder, tmp_path / "store", cluster.address))
    assert 0 < len(rows_in(tmp_path / "store")) < 2640
    done = finish(encoding(longer, folder, tmp_path / "store", cluster.address))
    assert done.earlier >= 1
    assert rows_in(tmp_path / "store") == list(range(2640))
    again = finish(encoding(longer, folder, tmp_path / "store", cluster.address))
    assert again.earlier == again.parts


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_part_that_two_processes_have_written_is_there_once_at_the_end(cluster, longer, tmp_path, is_compacted):
    folder = written(longer.explorer())
    begun(encoding(longer, folder, tmp_path / "store", cluster.address))
    table = Connection(str(tmp_path / "store")).open(CAPTIONS)
    table.add(table.to_arrow())
    if is_compacted:
        table.optimize()  # both are in one piece then
    assert finish(encoding(longer, folder, tmp_path / "store", cluster.address)).about.captions == 2640
    assert rows_in(tmp_path / "store") == list(range(2640))


def with_damaged_text(table: pa.Table, row: int) -> pa.Table:
    """The same table, whose text in a row is no UTF-8."""
    texts = [text.encode() for text in table["caption"].to_pylist()]
    texts[row] = b"a dog \xff\xfe"
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int32)
    column = pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts)))
    return table.set_column(table.column_names.index("caption"), "caption", column)


def test_captions_that_cannot_be_read_or_have_no_known_word_are_left_out_and_told(cluster, files, folder, tmp_path):
    table = with_damaged_text(parquet.read_table(folder / "b.parquet"), 70)
    parquet.write_table(table, folder / "b.parquet")
    first = parquet.read_table(folder / "a.parquet")
    words = first["caption"].to_pylist()
    words[4:6] = ["bicycle", None]
    parquet.write_table(first.set_column(0, "caption", pa.array(words)), folder / "a.parquet")
    done = finish(encoding(files, folder, tmp_path / "store", cluster.address))
    (failed,) = done.about.failed
    assert f"row 70 of {folder / 'b.parquet'}: UnicodeDecodeError" in failed
    assert rows_in(tmp_path / "store") == [row for row in range(300) if row not in (4, 5, 230)]
    assert "2 without a known word left out" in done.about.notes
    assert any("1 that could not be encoded left out" in note for note in done.about.notes)


def test_a_damaged_part_of_a_file_is_named_and_left_out_only_the_second_time(cluster, files, folder, tmp_path):
    whole = (folder / "a.parquet").read_bytes()
    offset = parquet.read_metadata(folder / "a.parquet").row_group(0).column(0).data_page_offset
    damaged = whole[:offset] + bytes(40) + whole[offset + 40 :]
    (folder / "a.parquet").write_bytes(damaged)
    (folder / "a.parquet").rename(folder / "c.parquet")  # columns are chosen by what comes first
    (folder / "b.parquet").rename(folder / "a.parquet")
    error = refused(encoding(files, folder, tmp_path / "store", cluster.address))
    assert "2 of 8 parts are missing" in error.found
    assert "repeat the command" in error.advice
    assert len(rows_in(tmp_path / "store")) == 220
    done = finish(encoding(files, folder, tmp_path / "store", cluster.address))
    assert done.about.captions == 220
    assert any("80 that could not be read left out" in note for note in done.about.notes)
    told: list[Progress] = []
    again = finish(encoding(files, folder, tmp_path / "store", cluster.address), told.append)
    assert (again.parts, again.earlier) == (8, 6)
    assert any("finished without some parts; to try them again, delete it" in each.stage for each in told)


def test_a_damaged_part_that_is_mended_is_read_the_second_time(cluster, files, folder, tmp_path):
    whole = (folder / "b.parquet").read_bytes()
    offset = parquet.read_metadata(folder / "b.parquet").row_group(1).column(0).data_page_offset
    (folder / "b.parquet").write_bytes(whole[:offset] + bytes(40) + whole[offset + 40 :])
    refused(encoding(files, folder, tmp_path / "store", cluster.address))
    (folder / "b.parquet").write_bytes(whole)
    done = finish(encoding(files, folder, tmp_path / "store", cluster.address))
    assert (done.about.captions, done.about.notes) == (300, ())
    assert done.earlier > 0


@pytest.mark.parametrize(
    ("address", "found"),
    [("somewhere", "is no address of a cluster"), ("127.0.0.1:{port}", "no cluster answers"), ("no.host:1", "answers")],
)
def test_an_address_that_no_cluster_answers_at_is_told_at_once(files, folder, tmp_path, address, found):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # nobody listens
        port = silent.getsockname()[1]
        error = refused(encoding(files, folder, tmp_path / "store", address.format(port=port)))
    assert found in error.found
    assert "--ray" in error.path
    assert error.advice


def test_captions_in_a_bucket_become_a_store_in_it(files, folder, local, bucket):
    client = pytest.importorskip("boto3").client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    name = bucket.split("/")[2]
    for path in folder.iterdir():
        client.upload_file(str(path), name, f"captions/{path.name}")
    done = finish(encoding(files, f"s3://{name}/captions/*.parquet", bucket, "local"))
    assert (done.about.captions, done.about.name) == (300, "captions")
    text = "a dog on a beach"
    assert explore(files, bucket).ask(text).hits.rows.tolist() == local.ask(text).hits.rows.tolist()


def test_captions_in_a_bucket_that_is_not_there_are_told(files, bucket, tmp_path):
    error = refused(encoding(files, "s3://nowhere/captions", tmp_path / "store", "local"))
    assert "s3://nowhere/captions" in error.path
    assert "check the address and your rights" in error.advice
