"""Fuzz: give each reader of files and texts what nobody would write; only the errors that it documents may come.

`python tests/fuzz.py captions --seconds 600` fuzzes one reader, guided by the branches that are taken (extra `fuzz`);
without a name, each in turn. An input that fails is kept in `--failures`, once for each place in the code that raises,
and `python tests/fuzz.py captions FILE` runs it again. More than 2 GB of memory, or a minute for one input, also end
it; `NAME-latest` is that input.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import atheris
import numpy as np

with atheris.instrument_imports(include=["core", "tui", "json", "tomllib", "zipfile"]):
    from conftest import demo_texts, make_files, write_vectors, write_weights
    from corpus.thirty import IMAGES, SIX_IMAGES
    from screen_text import unsafe
    from trust.measurements import learned, measured
    from urllib3 import HTTPResponse
    from urllib3.exceptions import HTTPError
    from web_server import packed

    from core.assets import DEMO_DIR, AssetError
    from core.corpus.captions import Captions
    from core.corpus.table import LAYOUTS, ReadOptions
    from core.corpus.vec_file import VecFile
    from core.corpus.vectors import WordVectors
    from core.encoding.given import read_embeddings
    from core.encoding.weights import read_weights
    from core.fetching import CHECKSUMS, _known, _member_blocks, _remember
    from core.official import OfficialFile
    from core.ranking.arithmetic import parse, quoted
    from core.ranking.axes import EXAMPLE as AXES
    from core.ranking.axes import Axes, AxesError
    from core.ranking.filters import EXAMPLES, Filter, FilterError
    from core.ranking.masks import Masks
    from core.ranking.methods import METHODS
    from core.ranking.regions import Region, Regions
    from core.store.cache import Cache
    from core.store.download import _has_more
    from core.store.partial import Partial
    from core.store.progress import finish
    from core.store.web import Answer, check_address, range_of
    from core.store.whole import MANIFEST, Origin, is_whole, seal, write_json
    from core.trust.calibration import Calibration
    from tui.commands.explore import _with_files_of
    from tui.lines import corpus_line, visit_line
    from tui.options import Options
    from tui.screens.keeping import _Rows
    from tui.session import Session, Visit
    from tui.settings import read_settings
    from tui.text import visible
    from tui.trail import Run, TrailWriter, list_runs, read_run, recent_corpora

_PLACE = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # inputs need no disk
_MOST_SECONDS = 60
_OURS = Path(__file__).parents[1]
_HUGE = "9" * 5000
_DEEP = json.loads("[" * 400 + '"a dog"' + "]" * 400)
_STRANGE = [
    *(_DEEP, str(_DEEP), {"caption": _DEEP}),
    *(None, True, 0, -1, 2**31, 2**63, 2**70, 1e308, "", " ", "\0", "\ud800", "a dog", "7.jpg", "1e999999", _HUGE),
    10**4300 - 1,  # the largest number that Python writes
    *([], {}, [[]], [{}], {"": ""}, ["a dog"], {"caption": "a dog"}, "[" * 2000, "[{[]: 1}]", "[0x" + "f" * 5000 + "]"),
]
_NAMES = (
    "caption captions image_id images annotations sentences raw cocoid filename id columns data 7.jpg train \t".split(
        " "
    )
)


class Target:
    """A reader: what it is given at first, and how an input is read."""

    def __init__(self, seeds: Callable[[], Iterable[bytes]], read: Callable[[bytes, Path], None]) -> None:
        self.seeds, self.read = seeds, read


def altered(document: Any, data: atheris.FuzzedDataProvider) -> Any:
    """A copy of a document with strange values, or names, in one to four places."""
    root = {"": json.loads(json.dumps(document))}
    places = [(root, ""), *_places(root[""])]
    for _ in range(data.ConsumeIntInRange(1, 4)):
        container, key = data.PickValueInList(places)
        value = data.PickValueInList(_STRANGE)
        if isinstance(container, dict) and container is not root and data.ConsumeBool():
            key, value = data.PickValueInList(_NAMES), container.pop(key, value)
        container[key] = value
    return root[""]


def _places(value: Any) -> list[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, each in pairs for place in ((value, key), *_places(each))]


def read_captions(data: bytes, folder: Path) -> None:
    """The first byte chooses the name's ending, the second what the user says."""
    endings = ["", ".txt", ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".gz", ".json.gz"]
    ending, said, content = endings[data[0] % len(endings)], data[1], data[2:]
    layout = LAYOUTS[said % len(LAYOUTS)] if said >= 128 else None
    header = {96: True, 97: False}.get(said)
    encoding = {98: "cp1252", 99: "utf-16", 100: "utf-7", 101: "idna", 102: "cp932"}.get(said)
    path = folder / f"captions{ending}"
    path.write_bytes(gzip.compress(content, 1) if ending.endswith(".gz") else content)
    understood(path, ReadOptions(layout=layout, header=header, encoding=encoding))


def understood(path: Path, options: ReadOptions | None = None) -> None:
    captions = Captions.read(path, options=options)
    assert len(captions.ids) == len(captions)
    assert captions.understood()
    assert captions.images != 0
    for row in range(len(captions)):
        captions.texts[row].encode()
        str(captions.group(row)).encode()


def captions_seeds() -> list[bytes]:
    contents = [content.encode() if isinstance(content, str) else content for content in SIX_IMAGES.values()]
    return [bytes([n % 9, 0]) + content for n, content in enumerate(contents)]


@cache
def documents() -> list[Any]:
    found = []
    for content in SIX_IMAGES.values():
        with suppress(ValueError):
            found.append(json.loads(content))
    return found


def read_json_captions(data: bytes, folder: Path) -> None:
    """One of the documents of captions with strange values in it; the layouts of JSON lines too."""
    provider = atheris.FuzzedDataProvider(data)
    document = documents()[provider.ConsumeIntInRange(0, len(documents()) - 1)]
    as_lines = isinstance(document, list) and provider.ConsumeBool()
    document = altered(document, provider)
    path = folder / "captions.json"
    path.write_text(
        "\n".join(map(json.dumps, document)) if as_lines and isinstance(document, list) else json.dumps(document)
    )
    understood(path)


def read_cells(data: bytes, folder: Path) -> None:
    """A table of cells that hold lists and objects."""
    provider = atheris.FuzzedDataProvider(data)
    cells = [json.dumps(altered(texts, provider)) for texts in IMAGES.values()]
    cells += [provider.PickValueInList([repr, str])(altered(texts, provider)) for texts in IMAGES.values()]
    cells.append(provider.ConsumeUnicode(200))
    rows = "".join(f"{n}.jpg\t{cell}\n" for n, cell in enumerate(cells))
    path = folder / "captions.tsv"
    path.write_bytes(("image\tcaptions\n" + rows).encode("utf-8", "replace"))
    understood(path)


def read_vectors(data: bytes, folder: Path) -> None:
    path = folder / "vectors.vec"
    path.write_bytes(gzip.compress(data[1:], 1) if data[0] == 1 else data[1:])
    store = folder / "store"
    try:
        finish(WordVectors.convert(VecFile.choose(path, lambda: 12), store))
        vectors = WordVectors(store)
        assert np.isfinite(vectors.rows).all()
        vectors.find(["a", "<p>", ""])
    finally:
        shutil.rmtree(store, ignore_errors=True)


def in_folder(write: Callable[[Path], object]) -> bytes:
    """What a function writes to the path that it is given."""
    with tempfile.TemporaryDirectory(dir=_PLACE) as folder:
        path = Path(folder, "file.npy")
        write(path)
        return path.read_bytes()


def vec_seeds() -> list[bytes]:
    words = ["<p>", "</p>", "a", "dog", "New York"]
    plain = [in_folder(lambda path, h=header: write_vectors(path, words, header=h)) for header in (True, False)]
    zipped = [packed(**{"vectors.vec": plain[0]}), packed(**{"a.vec": plain[0], "b.txt": plain[1], "c.vec": b"1 2\n"})]
    return [b"\0" + each for each in [*plain, *zipped, b"5 99999\nhello\n"]] + [b"\1" + plain[0]]


def read_state(data: bytes, folder: Path) -> None:
    path = folder / "weights.pkl"
    path.write_bytes(data)
    read_weights(path)


def weights_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save

    old = in_folder(lambda path: write_weights(path, word_dim=2, hidden=1))
    state = torch.load(io.BytesIO(old), weights_only=True)
    training = {"encoder": state, "epoch": 3, "best": 0.5, "seen": {1, 2}, "sizes": (1, (2, 3)), "name": b"abc"}
    new, other = io.BytesIO(), io.BytesIO()
    torch.save(training, new)
    torch.save(training, other, _use_new_zipfile_serialization=False)
    vast = b"\x80\x02cbuiltins\nbytearray\n\x8a\x04\x00\x00\x00\x70\x85R."
    legacy = [b"\x80\x02" + part for part in old.split(b"\x80\x02")[1:4]]
    return [
        old,
        new.getvalue(),
        other.getvalue(),
        save(state),
        b"".join([*legacy, vast]),
        packed(**{"a/data.pkl": vast}),
    ]


def read_given(data: bytes, folder: Path) -> None:
    path = folder / "embeddings.npy"
    path.write_bytes(data)
    rows = read_embeddings(path, 3)
    assert rows.shape[0] == 3
    assert rows[:].nbytes < 1 << 24


def given_seeds() -> list[bytes]:
    import pandas as pd

    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    table = pd.DataFrame({"id": [1, 2, 3], "embedding": list(rows)})
    both = io.BytesIO()
    np.savez(both, a=rows)
    return [
        in_folder(lambda path: np.save(path, rows)),
        in_folder(lambda path: np.save(path, np.asfortranarray(rows.astype(">i2")))),
        both.getvalue(),
        *(in_folder(lambda path, c=codec: table.to_parquet(path, compression=c)) for codec in (None, "snappy", "zstd")),
    ]


@cache
def explorer() -> Any:
    folder = Path(tempfile.mkdtemp(dir=_PLACE))
    found = make_files(folder, demo_texts(60)).explorer(need="methods")
    shutil.rmtree(folder)  # what is open stays
    return found


def read_query(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    parse(quoted(text))
    answer = explorer().ask(text, settled=False, method=METHODS[len(data) % len(METHODS)])
    assert answer.query.embedding is None or np.isfinite(answer.query.embedding).all()


@cache
def masks() -> Masks:
    """Masks of a table that has columns of every kind, and of two regions."""
    rows = [
        {
            "caption": f"a {word} runs",
            "image": f"{n % 2}.jpg",
            "stars": n,
            "kind": word,
            "tags": [word, None],
            "score": n / 3,
        }
        for n, word in enumerate(["dog", "Straße", "cat", "\u0915\u094d\u0937 bus"])
    ]
    import pandas as pd

    table = pd.DataFrame(rows).assign(day=pd.date_range("2020-05-01", periods=4), flag=[True, False, None, True])
    with tempfile.TemporaryDirectory(dir=_PLACE) as folder:
        path = Path(folder, "table.parquet")
        table.to_parquet(path)
        captions = Captions.read(path, options=ReadOptions(text_columns=("caption",), group_column="image"))
    regions = Regions(np.array([1, 2, 1, 0], np.int16), (Region(1, ("dog",), 2, 0), Region(2, ("bus",), 1, 1)))
    return Masks(captions, lambda: regions)


def read_filter(data: bytes, folder: Path) -> None:
    text, problem = data.decode("utf-8", "surrogateescape"), ""
    with suppress(AxesError):
        Axes.parse(text)
    try:
        among = Filter.parse(text).with_bookmarks([1])
        masks().check(among)
        assert masks().mask(among).shape == (4,)
        assert Filter.parse(among.text).conditions == among.conditions
    except FilterError as error:
        problem = str(error)
    assert is_safe(problem)


def read_config(data: bytes, folder: Path) -> None:
    path = folder / "config.toml"
    path.write_bytes(data)
    assert all(map(is_safe, read_settings(path).problems))


def read_trails(data: bytes, folder: Path) -> None:
    (folder / "20260101-run.jsonl").write_bytes(data)
    for run in list_runs(folder):
        if not isinstance(run, AssetError):
            go_on(run, folder)
    for about in recent_corpora(folder):
        corpus_line(about)
        start(Options().reopened(about.get("options", {})))


def read_session(data: bytes, folder: Path) -> None:
    """A trail with strange values in its lines."""
    lines = altered(trail_lines(), atheris.FuzzedDataProvider(data))
    path = folder / "20260101-run.jsonl"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines) if isinstance(lines, list) else "")
    go_on(read_run(path), folder)


def go_on(run: Run, folder: Path) -> None:
    """Resume a run, and start the program again with its options."""
    session, trail = Session(), TrailWriter(folder / "trails")
    session.restore(run.events, _Rows(explorer().opened.captions).find)
    assert all(visit_line(visit, depth) for visit, depth in session.tree())
    assert len(session.walk) <= len(session.path) <= len(session.visits)
    trail.resume(run)
    session.keep = trail.write
    session.go(Visit("a dog", None), cursor=0)
    assert not trail.problem
    assert read_run(trail.path).events
    with suppress(AssetError):  # its captions are gone
        start(_with_files_of(run, Options()))


def start(options: Options) -> None:
    assert not any(b"\0" in os.fsencode(argument) for argument in options.arguments())


def trail_lines() -> list[Any]:
    text = demo_texts(1)[0]
    options = Options(captions=Path("/a"), text_column=("a", "b"), header=True, separator=";", encoding="cp1252")
    about = {"format": 1, "captions": str(DEMO_DIR / "captions.json"), "model": "b", "count": 3, "corpus": "c"}
    hits = [{"caption": "a cat", "distance": 0.5}, {"caption": "a cow", "score": 2}]
    return [
        about | {"options": options.document()},
        {"visit": 1, "from": None, "how": "typed", "text": "a dog", "row": None},
        {"answer": 1, "level": None, "step": 0.5, "drift": None, "hits": hits},
        *({"visit": n, "from": n // 2, "how": "followed", "text": text, "row": 0} for n in range(2, 7)),
        {"answer": 6, "level": "DOUBTFUL", "step": 0.5, "drift": 0.5, "hits": hits},
        *({"bookmark": 3, "text": text, "note": ""}, {"unbookmark": 3, "text": "a"}, {"at": 1}),
    ]


def trail_seeds() -> list[bytes]:
    lines = "".join(json.dumps(each) + "\n" for each in trail_lines()).encode()
    return [lines, b"[" * 5000 + b"\n" + lines, lines + b"[" * 5000, lines.replace(b": 3", b": " + b"9" * 5000)]


def read_answer(data: bytes, folder: Path) -> None:
    """The head and body of a server's answer, and what an earlier run noted of the file."""
    note, _, answer = data.partition(b"\0")
    head, _, body = answer.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    headers = [(name, value) for name, colon, value in (line.partition(":") for line in lines) if colon]
    status = int(first) if re.fullmatch("[1-5][0-9][0-9]", first) else 206
    response = HTTPResponse(io.BytesIO(body), dict(headers), status, preload_content=False)
    (folder / "file.partial").write_bytes(b"abc")
    (folder / "file.partial.json").write_bytes(note)
    with suppress(AssetError):
        check_address(head.decode("latin-1"))
    with suppress(AssetError):
        check_address(response.headers.get("Location", ""))
    start, length = range_of(response)
    assert -1 <= start < 10**15
    assert 0 <= length < 10**15
    with (
        suppress(HTTPError),
        Partial("http://example.org/file", folder / "file", 1 << 20, is_checked=False, elsewhere="") as partial,
    ):
        answer = Answer(response, "http://example.org/file")
        if _has_more(answer, partial):
            if response.status == 200:
                partial.begin(answer)
            partial.append(response.read1(1 << 18, decode_content=False))


def answer_seeds() -> list[bytes]:
    url = "http://example.org/file"
    note = {"url": url, "source": url, "etag": '"1"', "modified": "", "total": 6, "done": 3, "is_joined": False}
    written = in_folder(lambda path: write_json(path, note))
    return [
        written + b'\x00206\nETag: "1"\nContent-Range: bytes 3-5/6\n\ndef',
        b"\x00" + b"200\nContent-Length: 3\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\n\nabc",
        b"\x00" + b"503\nRetry-After: 120\n\n",
        b"\x00" + b"429\nRetry-After: Mon, 01 Jan 2024 00:00:00 GMT\n\n",
        b"\x00" + b"301\nLocation: https://user:a@[::1]:99/x?y#z\n\n",
        written + b"\x00" + b"416\nContent-Range: bytes */3\n\n",
    ]


def read_archive(data: bytes, folder: Path) -> None:
    path = folder / "archive.zip"
    path.write_bytes(data)
    wanted = OfficialFile("http://example.org/archive.zip", "", 1000, member="a/b.txt", member_bytes=1000)
    for _ in _member_blocks(path, wanted, "checking"):
        pass


def read_checksums(data: bytes, folder: Path) -> None:
    (folder / CHECKSUMS).write_bytes(data)
    _known(folder)
    finish(_remember(folder, "file.zip", "0" * 64))
    assert _known(folder)["file.zip"] == "0" * 64


@cache
def calibration() -> dict[str, Any]:
    content = in_folder(learned(measured()).save)
    return json.loads(content)


def read_cache(data: bytes, folder: Path) -> None:
    """The files in which the cache describes itself: any bytes, or strange values under a right checksum."""
    provider = atheris.FuzzedDataProvider(data)
    entry = folder / "vectors" / "key"
    entry.mkdir(parents=True, exist_ok=True)
    (entry / "file").write_bytes(b"abc")
    name = provider.PickValueInList([MANIFEST, "recipe.json", "calibration.json"])
    (entry / MANIFEST).unlink(missing_ok=True)
    if provider.ConsumeBool():
        (entry / name).write_bytes(provider.ConsumeBytes(provider.remaining_bytes()))
    else:
        seal(entry, Origin("key", 1, "about"))
        document = calibration() if name == "calibration.json" else json.loads((entry / MANIFEST).read_text())
        document = altered({key: each for key, each in document.items() if key != "checksum"}, provider)
        if isinstance(document, dict):
            document |= {"made_from": "key"} if name == "calibration.json" else {}
            with suppress(ValueError):  # not to be written as JSON
                write_json(entry / name, document)
    is_whole(entry, Origin("key", 1, ""))
    opened = Cache(folder)
    list(opened.entries())
    finish(opened.check())
    Calibration.load(entry / "calibration.json")
    shutil.rmtree(entry)


TARGETS = {
    "captions": Target(captions_seeds, read_captions),
    "json": Target(lambda: [bytes([n]) + bytes(range(1, 250)) for n in range(40)], read_json_captions),
    "cells": Target(lambda: [bytes([n]) + bytes(range(1, 250)) for n in range(20)], read_cells),
    "vec": Target(vec_seeds, read_vectors),
    "weights": Target(weights_seeds, read_state),
    "given": Target(given_seeds, read_given),
    "query": Target(lambda: [b'2 * a dog - 0.5 * "a + b"', b"#12", b"do n't (cannot) ... U.S. 'tis"], read_query),
    "filter": Target(
        lambda: [
            AXES.encode(),
            *(each.encode() for each in [*EXAMPLES.split(" · "), "stars>=2 tags:dog", "day:2020-05"]),
        ],
        read_filter,
    ),
    "settings": Target(
        lambda: [
            b"mouse = 0x" + b"f" * 4999,
            b"keys = " + b"[" * 5000,
            b'theme = "nord"\nmouse = true\nlow-bandwidth = false\n[keys]\npin = "f5"\n',
        ],
        read_config,
    ),
    "trail": Target(trail_seeds, read_trails),
    "session": Target(lambda: [bytes([n]) + bytes(range(1, 250)) for n in range(40)], read_session),
    "answer": Target(answer_seeds, read_answer),
    "archive": Target(lambda: [packed(**{"a/b.txt": b"a dog " * 50}), packed(other=b"")], read_archive),
    "checksums": Target(lambda: [b"0" * 64 + b"  file.zip\n" + b"A" * 64 + b" *other\n"], read_checksums),
    "cache": Target(
        lambda: [bytes([n]) * 40 for n in range(6)] + [b"[" * 5000 + bytes([1, n]) for n in range(3)], read_cache
    ),
}


def is_safe(text: str) -> bool:
    """Tell whether the lines of a text cannot control the terminal that they are printed on."""
    return not any(unsafe(visible(line)) for line in text.splitlines())


def attempt(target: Target, data: bytes) -> BaseException | None:
    """Read one input and return an error that is not documented."""
    with tempfile.TemporaryDirectory(dir=_PLACE) as folder:
        try:
            target.read(data, Path(folder))
        except AssetError as error:
            text = str(error)
            return None if len(text) < 7000 and is_safe(text) else error
        except Exception as error:
            return error
    return None


def fuzz(name: str, *, seconds: int, failures: Path) -> None:
    """Fuzz one reader; does not return."""
    target, places, latest = TARGETS[name], set[str](), failures / f"{name}-latest"

    def test(data: bytes) -> None:
        latest.write_bytes(data)
        faulthandler.dump_traceback_later(_MOST_SECONDS, exit=True)  # libFuzzer's own alarm waits for native code
        error = attempt(target, data) if len(data) > 2 else None
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            ours = [each for each in frames if Path(each.filename).is_relative_to(_OURS)]
            place = f"{type(error).__name__} {ours[-1].filename}:{ours[-1].lineno}"
            if place not in places:
                places.add(place)
                path = failures / f"{name}-{len(places)}"
                path.write_bytes(data)
                print(f"failure: {path}: {''.join(traceback.format_exception(error))}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as seeds:
        for n, seed in enumerate(target.seeds()):
            Path(seeds, str(n)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-max_len=20000", "-len_control=0"]
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={failures / name}-", seeds], test)
        atheris.Fuzz()


def run(name: str, *, seconds: int, failures: Path) -> tuple[int, int]:
    """Fuzz one reader in a process of its own and return how many inputs it was given, and how many failures it had."""
    command = [sys.executable, __file__, name, "--seconds", str(seconds), "--failures", str(failures)]
    log = failures / f"{name}.log"
    with log.open("w") as output:
        ended = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    text = log.read_text(errors="replace")
    inputs = max(map(int, re.findall(r"^(?:#|Done )(\d+)", text, re.MULTILINE)), default=0)
    found = len(re.findall("^failure: ", text, re.MULTILINE)) + (ended != 0)
    print(f"{name}: {inputs} inputs, {found} failures ({log})", flush=True)
    return inputs, found


def main() -> None:
    """Fuzz the reader that is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=list(TARGETS))
    parser.add_argument("file", nargs="?", type=Path, help="an input that failed")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--failures", type=Path, default=Path(tempfile.gettempdir(), "fuzz-failures"))
    given = parser.parse_args()
    given.failures.mkdir(parents=True, exist_ok=True)
    if given.file is not None:
        error = attempt(TARGETS[given.name], given.file.read_bytes())
        sys.exit("".join(traceback.format_exception(error)) if error else 0)
    if given.name is not None:
        fuzz(given.name, seconds=given.seconds, failures=given.failures)
    counts = [run(name, seconds=given.seconds, failures=given.failures) for name in TARGETS]
    failed = sum(found for _, found in counts)
    print(f"targets: {len(counts)}, inputs: {sum(inputs for inputs, _ in counts)}, failures: {failed}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
