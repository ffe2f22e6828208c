"""A small real corpus, encoder and vector file that every test can build on."""

import gc
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray
from web_server import packed

from core.answers import Answer
from core.assets import DEMO_DIR, Assets
from core.explorer import Explorer
from core.opening import Need, open_
from core.query import Query
from core.setup import Setup
from core.store.cache import Cache
from core.store.locks import only_one
from core.store.progress import finish
from tui.garbage import collect_rarely

torch.set_num_threads(1)  # small tests run steadier
os.environ.setdefault("OMP_NUM_THREADS", "1")  # nor do processes that tests start wait for each other
settings.register_profile("long", deadline=None)  # `--hypothesis-profile=long` for an hour of bursts of keys

SHARED = Path(os.environ.get("INFERSENT_TUI_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Real captions, where they are present; tests that want them skip elsewhere."""

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False  # else each process that a test starts would compile all modules once more

for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)  # a process of pytest-xdist sets them, and no terminal of a test could then be resized

WORD_DIM, HIDDEN = 12, 16

real_captions = SHARED / "coco" / "captions_val2014_subset.json.gz"
needs_real_captions = pytest.mark.skipif(not real_captions.exists(), reason="the COCO captions are not here")


@dataclass(frozen=True)
class Files:
    """Paths of a consistent set of small files, and a cache folder to use with them."""

    folder: Path
    weights: Path
    vectors: Path
    captions: Path
    cache: Path

    @classmethod
    def inside(cls, folder: Path) -> "Files":
        """The paths as `make_files` names them."""
        return cls(folder, *(folder / name for name in ("weights.pkl", "vectors.vec", "captions.json", "cache")))

    @property
    def flags(self) -> list[str]:
        """The same, as options of the command line."""
        return [
            *("--model", str(self.weights), "--vectors", str(self.vectors), "--captions", str(self.captions)),
            *("--model-version", "2", "--cache-dir", str(self.cache)),
        ]

    def explorer(self, *, need: Need = "matrix", **changes: Path) -> Explorer:
        """An explorer over these files, others in place of some."""
        return Explorer(finish(open_(self.setup(**changes), Cache(self.cache), need=need)))

    def setup(self, **changes: Path) -> Setup:
        """These files, others in place of some, for the CPU; embeddings stand in for weights and vectors."""
        paths: dict[str, Path | None] = {"weights": self.weights, "vectors": self.vectors, "captions": self.captions}
        if "embeddings" in changes:
            paths |= {"weights": None, "vectors": None}
        return Setup(assets=Assets(**(paths | changes), version=2))


def write_weights(path: Path, *, word_dim: int = WORD_DIM, hidden: int = HIDDEN, seed: int = 0) -> Path:
    """Write random weights as the official files are: a legacy pickle of a plain state dict."""
    torch.manual_seed(seed)
    lstm = torch.nn.LSTM(word_dim, hidden, bidirectional=True)
    weights = {f"enc_lstm.{name}": value.detach().clone() for name, value in lstm.state_dict().items()}
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path


def write_vectors(path: Path, words: list[str], *, dim: int = WORD_DIM, seed: int = 0, header: bool = True) -> Path:
    """Write a `.vec` file of random vectors."""
    rng = np.random.default_rng(seed)
    lines = [f"{len(words)} {dim}"] if header else []
    lines += [f"{word} {' '.join(f'{value:.4f}' for value in rng.normal(size=dim))}" for word in words]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_coco(path: Path, captions: list[str], *, per_image: int = 5) -> Path:
    """Write captions in COCO's layout, with image ids 100, 101, ... and caption ids 1000, 1001, ..."""
    images = [
        {"id": 100 + i, "file_name": f"image_{i}.jpg", "coco_url": f"http://example.org/{i}.jpg"}
        for i in range(-(-len(captions) // per_image))
    ]
    annotations = [
        {"image_id": 100 + i // per_image, "id": 1000 + i, "caption": caption} for i, caption in enumerate(captions)
    ]
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations}), encoding="utf-8")
    return path


def demo_texts(count: int) -> list[str]:
    """The first of the bundled captions."""
    document = json.loads((DEMO_DIR / "captions.json").read_text(encoding="utf-8"))
    return [annotation["caption"] for annotation in document["annotations"][:count]]


def ask_caption(explorer: Explorer, row: int, **how: object) -> Answer:
    """The neighbours of a caption, with tokens and verdict."""
    return explorer.complete(explorer.neighbours(row, **how))


def typed(explorer: Explorer, text: str) -> Query:
    """The query of a typed text."""
    return explorer.queries.of_text(text)


def embedding_of(explorer: Explorer, text: str) -> NDArray[np.float64]:
    """The embedding of known words that stand between blanks, (D,), made of vectors and encoder alone."""
    encoder, vectors = explorer.opened.text_encoder.sentence_encoder, explorer.opened.text_encoder.vocabulary.vectors
    ids = vectors.find(["<p>", *text.split(), "</p>"])
    return encoder.encode(np.array(vectors.rows[ids[ids >= 0]])).embedding.astype(np.float64)


@pytest.fixture(autouse=True)
def no_files_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep trails, themes and config files of the user and of other tests out, also in other processes."""
    for name in ("DATA", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / f"of the user/{name}"))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: tests of screens and of other processes often wait."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) + 1


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exempt what is imported from garbage collection, which would go through all of it for each test."""
    gc.collect()
    gc.freeze()
    collect_rarely()


@pytest.fixture(autouse=True)
def no_frozen_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test opened be collected after it: the loader of the screen freezes all objects there are.

    In its pauses the screen collects too, which takes longer with all that the other tests have imported.
    """
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr("tui.garbage.PAUSE_SECONDS", 600.0)


def make_files(folder: Path, texts: list[str], *, per_image: int = 5) -> Files:
    """Captions, a random encoder 12 -> 2x16, vectors of nearly all their words; an empty cache."""
    words = sorted({word for text in texts for word in text.rstrip(".").split()})
    known = ["<p>", "</p>", ".", *(word for word in words if word != "bicycle")]
    files = Files.inside(folder)
    write_weights(files.weights)
    write_vectors(files.vectors, known)
    write_coco(files.captions, texts, per_image=per_image)
    return files


@pytest.fixture
def new_files(tmp_path: Path) -> Files:
    """300 bundled captions with `make_files`."""
    return make_files(tmp_path, demo_texts(300))


@pytest.fixture
def files(request: pytest.FixtureRequest) -> Files:
    """`opened_files` for tests that are marked `opened`, else `new_files`."""
    is_opened = request.node.get_closest_marker("opened") is not None
    return request.getfixturevalue("opened_files" if is_opened else "new_files")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once in a run; the processes of pytest-xdist have it in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def opened_once(shared_folder: Path) -> Files:
    """`new_files` with a filled cache; only to be copied."""
    folder = shared_folder / "opened"
    files = Files.inside(folder)
    with only_one(folder) as waiting, pytest.MonkeyPatch.context() as patch:
        finish(waiting)
        if not folder.exists():
            folder.mkdir()
            make_files(folder, demo_texts(300))
            ask_few_sources(patch)
            cache = Cache(files.cache)
            opened = finish(open_(files.setup(), cache, need="methods"))
            finish(opened.calibrate())
            cache.close()
    return files


@pytest.fixture
def opened_files(opened_once: Files, tmp_path: Path) -> Files:
    """`new_files` with a filled cache: they have been opened before, and measured with `few_sources`."""
    shutil.copytree(opened_once.folder, tmp_path, dirs_exist_ok=True)
    return Files.inside(tmp_path)


@pytest.fixture(scope="session")
def demo(shared_folder: Path) -> Explorer:
    """An explorer of the bundled captions that knows how far its answers can be trusted; only to be asked."""
    with only_one(shared_folder / "demo") as waiting:
        finish(waiting)
        opened = finish(open_(Setup(assets=Assets.find()), Cache(shared_folder / "demo"), need="methods"))
        finish(opened.calibrate())
    return Explorer(opened)


def ask_few_sources(patch: pytest.MonkeyPatch) -> None:
    """Make probing quick: fewer queries."""
    patch.setattr("core.trust.probing._SOURCES", 120)
    patch.setattr("core.trust.probing._PER_LENGTH", 30)


@pytest.fixture
def few_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probing that is quick."""
    ask_few_sources(monkeypatch)


@pytest.fixture
def calibrated(opened_files: Files, few_sources: None) -> Explorer:
    """An explorer over `opened_files` that knows how far its answers can be trusted."""
    explorer = opened_files.explorer()
    finish(explorer.opened.calibrate())
    return explorer


@pytest.fixture
def published(tmp_path: Path) -> dict[str, bytes]:
    """Small files as the official ones are, by the names under which they are downloaded."""
    folder = tmp_path / "published"
    folder.mkdir()
    texts = demo_texts(60)
    words = ["<p>", "</p>", ".", *sorted({word for text in texts for word in text.rstrip(".").split()})]
    captions = write_coco(folder / "captions.json", texts).read_bytes()
    return {
        "infersent2.pkl": write_weights(folder / "weights.pkl").read_bytes(),
        "crawl-300d-2M.vec.zip": packed(
            **{"crawl-300d-2M.vec": write_vectors(folder / "vectors.vec", words).read_bytes()}
        ),
        "annotations_trainval2014.zip": packed(
            **{"annotations/instances_val2014.json": b"{}", "annotations/captions_val2014.json": captions}
        ),
    }


@dataclass(frozen=True)
class Outcome:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def documents(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(monkeypatch, capsysbinary):
    """A function that runs `infersent-tui` with arguments and standard input in this process."""

    def run(*args: object, stdin: str | bytes = b"") -> Outcome:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "argv", ["infersent-tui", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        capsysbinary.readouterr()
        from tui.cli import main

        with pytest.raises(SystemExit) as leaving:
            main()
        written = capsysbinary.readouterr()
        return Outcome(int(leaving.value.code or 0), written.out.decode(), written.err.decode())

    return run


def refused(outcome: Outcome, message: str) -> bool:
    """Fail unless a command exited with 2 and printed the message, without a traceback, on stderr only."""
    return (
        outcome.code == 2 and message in outcome.err and outcome.out == "" and "Traceback" not in outcome.err
    ) or pytest.fail(f"not refused with {message!r}: {outcome}")


HOLD_A_LOCK = """
import sys, time
from pathlib import Path
from core.store.locks import only_one
with only_one(Path(sys.argv[1])) as waiting:
    for _ in waiting:
        pass
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def another_process(tmp_path):
    """Start a process that holds the lock of a folder; it is ended after the test."""
    started = []

    def hold(folder):
        process = subprocess.Popen([sys.executable, "-c", HOLD_A_LOCK, str(folder)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of two megabytes; only root can make one."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """A function that copies a folder to a file system that can only be read; only root can make one."""
    place = tmp_path / "read-only"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")

    def copied(folder: Path) -> Path:
        shutil.copytree(folder, place / "cache")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        return place / "cache"

    yield copied
    subprocess.run(["umount", "--lazy", place], check=True)
