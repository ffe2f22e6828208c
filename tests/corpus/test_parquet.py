"""Parquet: what its columns claim, and claims that would end the process that reads them."""

import base64
import io
import os
import signal
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.assets import AssetError
from core.corpus.captions import Captions
from core.corpus.parquet import Claim, column_claims
from core.encoding.given import read_embeddings

FLIPPED = zlib.decompress(
    base64.b85decode(
        "c-mD^!AiqG5S^rP%puoVvXDbA2`Xu^LW_rj6^c~op?LPP#6?rvByLu{_EY>6Kf@pK?rcOw*f;Z*o%eR%t}k!K1hk+<LC6FN69DiT=pArX>0NXGO-g04"
        "Cy$lYJiDZ2LD7HF;KbEv0I<JcGUvtEGu{~Qa|-0`1Y+#U2fb4i07aP}AC{`MRa0lMaz+zB_B8o~tC`ycaj>mAOFmHOhV@qObZtSPOk|NmLXpf6<gX3!k"
        "=Te$9$qK>JYeNaq!MKgE`U>nz2e-{z4ebJ3nNjBIyZm9<0+!Na-kUF!xNZ?+~6o}m3eyBc38IUP#M#_rZ3ube1Cd29i5KGvfwZ-&nIKeAN>XV|2<m"
    )
)
"""A file of three captions and embeddings with one flipped bit, in the sizes that it states of a column."""


def test_a_flipped_bit_in_the_claims_is_an_error_and_does_not_end_the_program(tmp_path):
    path = tmp_path / "captions.parquet"
    path.write_bytes(FLIPPED)
    for read, expected in (
        (lambda: Captions.read(path).texts, ["a dog", "a cat", "a kite"]),
        (lambda: read_embeddings(path, 3).tolist(), [[1, 2], [3, 4], [5, 6]]),
    ):
        try:
            found = read()  # older versions of pyarrow pass these sizes over
        except AssetError as error:
            found = str(error)
        assert found == expected or "cannot be read as parquet" in found


def test_the_claims_are_those_of_each_column_and_row_group(tmp_path, monkeypatch):
    frame = pd.DataFrame({"caption": ["a dog", "a cat"], "e": [[1.0, 2.0, 3.0]] * 2})
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=1)
    (tmp_path / "pyarrow.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)  # whose modules are not the ones that are meant
    claims = column_claims(tmp_path / "a.parquet", ["caption", "e"])
    assert [(claim.path, claim.values) for claim in claims] == [("caption", 1), ("e.list.element", 3)] * 2
    assert all(claim.unpacked > 0 for claim in claims)
    assert column_claims(io.BytesIO((tmp_path / "a.parquet").read_bytes()), ["e"]) == claims[1::2]
    assert isinstance(claims[0], Claim)


def test_what_is_no_parquet_file_has_no_claims(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing PAR1")
    with pytest.raises(OSError, match=r"\w"):
        column_claims(tmp_path / "a.parquet", ["a"])


def test_claims_that_take_for_ever_to_read_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("core.corpus.parquet._MOST_SECONDS", 1)
    os.mkfifo(tmp_path / "a.parquet")  # whose reader waits for a writer
    with pytest.raises(OSError, match="took more than 1 seconds"):
        column_claims(tmp_path / "a.parquet", ["a"])


@pytest.fixture
def heeded_interrupts():
    """SIGINT as a program in the foreground has it; a background job ignores it, and so would what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
def test_a_signal_ends_the_reading_of_claims_also_where_a_thread_with_blocked_signals_asked_for_them(tmp_path):
    os.mkfifo(tmp_path / "a.parquet")

    def ask() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
        thread.append(threading.get_native_id())
        column_claims(tmp_path / "a.parquet", ["a"])

    for number in (signal.SIGINT, signal.SIGTERM):
        thread: list[int] = []
        with ThreadPoolExecutor(1) as executor:
            asked = executor.submit(ask)
            children = ""
            while not children:
                assert not asked.done(), asked.exception()
                time.sleep(0.01)
                children = Path(f"/proc/self/task/{thread[0]}/children").read_text() if thread else ""
            os.kill(int(children), number)
            with pytest.raises(OSError, match="metadata"):
                asked.result()


@pytest.mark.parametrize(
    "told",
    [
        b"[]",
        b"null",
        b"5",
        b'{"index_columns":5}',
        b'{"index_columns":[{"kind":"range","start":"x","stop":"\x1b[31m","step":[]}]}',
        b'{"columns":5,"index_columns":[]}',
        b'{"columns":[7],"index_columns":["caption"]}',
        b"{",
        b"\xff",
        b"[" * 3000,
    ],
)
def test_whatever_a_file_tells_pandas_it_is_read_or_refused(tmp_path, told):
    table = pa.table({"caption": ["a dog runs", "a cat sits"]}).replace_schema_metadata({b"pandas": told})
    pq.write_table(table, tmp_path / "a.parquet")
    with suppress(AssetError):
        assert len(Captions.read(tmp_path / "a.parquet").texts) == 2
