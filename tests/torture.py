"""Torture: kill each kind of work at random moments, let it run again, and compare with what nobody disturbed.

`python tests/torture.py --kills 300` does this for all kinds of work; the last line says how many kills there were, and
after how many of them something was lost: a result that differs in a bit, an error, or a file that should not be there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import torch
from conftest import Files, demo_texts, make_files, write_vectors, write_weights
from web_server import Give, Server, packed

import core.encoding.building
import core.store.download
import core.trust.probing
import tui.cli
from core.explorer import Explorer
from core.fetching import fetch
from core.opening import Need, open_, open_text_encoder
from core.store.cache import Cache
from core.store.progress import finish
from tui.trail import TrailWriter, read_run

_DATABASES = ("registry", "answers")  # they remember times, and are no result


class Work(NamedTuple):
    """A kind of work."""

    name: str
    before: Callable[[Path], None]
    """Prepares the folder that it works in; it is not killed there."""
    run: Callable[[Path], None]


def results(folder: Path) -> dict[str, str]:
    """The checksums of all files of a folder, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not set(name.parts) & set(_DATABASES):
            found[name.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def in_child(run: Callable[[Path], None], folder: Path, *, kill_after: float | None = None) -> bool:
    """Run work in a child process and tell whether it ended well; kill it after so many seconds."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            run(folder)
            code = 0
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Torture:
    """Kills work and counts.

    Args:
        place: A folder for all files.
        seed: Of the moments of the kills.
    """

    def __init__(self, place: Path, seed: int) -> None:
        self.kills = self.losses = 0
        self._place, self._rng = place, random.Random(seed)

    def kill(self, work: Work, *, kills: int) -> None:
        """Kill work so many times, up to three times until it is done, and compare."""
        work.before(self._fresh("undisturbed"))
        began = time.monotonic()
        if not in_child(work.run, self._place / "undisturbed"):
            raise RuntimeError(f"{work.name} fails undisturbed")
        seconds, wanted = time.monotonic() - began, results(self._place / "undisturbed")
        done, losses = 0, 0
        while done < kills:
            folder = self._fresh("killed")
            work.before(folder)
            for _ in range(min(self._rng.randint(1, 3), kills - done)):
                in_child(work.run, folder, kill_after=self._rng.uniform(0, seconds))
                done += 1
            ended = in_child(work.run, folder)
            found = results(folder)
            if not ended or found != wanted:
                losses += 1
                print(f"{work.name}: {'it failed afterwards' if not ended else _difference(found, wanted)}")
        print(f"{work.name}: {done} kills within {seconds:.1f} s, {losses} losses", flush=True)
        self.kills, self.losses = self.kills + done, self.losses + losses

    def kill_trails(self, *, kills: int) -> None:
        """Kill a process that writes a trail, and look whether every event that it had written is there."""
        losses = 0
        for _ in range(kills):
            folder = self._fresh("killed")
            read, write = os.pipe()

            def events(folder: Path, written: int = write) -> None:
                writer = TrailWriter(folder, {"captions": "a"})
                for i in range(100_000):
                    writer.write({"visit": i, "from": None, "how": "typed", "text": "a dog " * 20, "row": None})
                    os.write(written, b".")

            in_child(events, folder, kill_after=self._rng.uniform(0, 0.2))
            os.close(write)
            with os.fdopen(read, "rb") as counted:
                told = len(counted.read())
            runs = [read_run(path) for path in folder.iterdir()]
            kept = sum(len(run.events) for run in runs)
            if kept < told - 1 or len(runs) > 1 or any(run.broken > 1 for run in runs):  # the first visit waits
                losses += 1
                print(f"trail: {told} events were written, {kept} are there")
        print(f"trail: {kills} kills, {losses} losses", flush=True)
        self.kills, self.losses = self.kills + kills, self.losses + losses

    def _fresh(self, name: str) -> Path:
        folder = self._place / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


def _difference(found: dict[str, str], wanted: dict[str, str]) -> str:
    names = [name for name in {*found, *wanted} if found.get(name) != wanted.get(name)]
    return "differs in " + ", ".join(sorted(names))


def all_work(files: Files, url: str, archive: bytes) -> list[Work]:
    """All kinds of work on small files."""

    def nothing(folder: Path) -> None:
        pass

    def converting(folder: Path) -> None:
        finish(open_text_encoder(files.setup(), Cache(folder / "cache")))

    def opening(need: Need) -> Callable[[Path], None]:
        def run(folder: Path) -> None:
            explorer = Explorer(finish(open_(files.setup(), Cache(folder / "cache"), need=need)))
            if need == "methods":
                finish(explorer.opened.open_methods())

        return run

    def calibrate(folder: Path) -> None:
        explorer = Explorer(finish(open_(files.setup(), Cache(folder / "cache"), need="methods")))
        finish(explorer.opened.calibrate())

    def fetching(folder: Path) -> None:
        digest = hashlib.sha256(archive).hexdigest()
        finish(fetch("coco", folder / "official", mirror=url, sha256=digest))

    def exporting(folder: Path) -> None:
        os.environ["INFERSENT_TUI_CACHE_DIR"] = str(files.cache)
        sys.argv = ["infersent-tui", "export", "-q", "-o", str(folder / "captions.parquet"), *files.flags]
        with suppress(SystemExit):
            tui.cli.main()
        if not (folder / "captions.parquet").exists():
            raise RuntimeError("export failed")

    return [
        Work("convert", nothing, converting),
        Work("encode", converting, opening("matrix")),
        Work("index", opening("matrix"), opening("methods")),
        Work("calibrate", opening("methods"), calibrate),
        Work("fetch", nothing, fetching),
        Work("export", nothing, exporting),
    ]


def main() -> None:
    """Run the torture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)  # a forked process cannot use threads of its parent
    core.encoding.building.CHUNK = 16
    core.store.download._SYNC_BYTES = 1 << 16
    core.trust.probing._SOURCES, core.trust.probing._PER_LENGTH = 120, 30
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "files").mkdir()
        files = make_files(place / "files", demo_texts(1500))
        write_weights(files.weights, hidden=512)
        known = [line.split()[0] for line in files.vectors.read_text(encoding="utf-8").splitlines()[1:]]
        write_vectors(files.vectors, [*known, *(f"word{i}" for i in range(40_000))])
        captions = files.captions.read_bytes() + b" " * 4_000_000
        archive = packed(**{"annotations/captions_val2014.json": captions, "other": os.urandom(6_000_000)})
        torture = Torture(place, given.seed)
        with served(archive) as url:
            kinds = all_work(files, url, archive)
            in_child(kinds[-1].run, place)  # fills the cache that exports read
            share = -(-given.kills // (len(kinds) + 1))
            for work in kinds:
                torture.kill(work, kills=min(share, given.kills - torture.kills))
        torture.kill_trails(kills=given.kills - torture.kills)
    print(f"kills: {torture.kills}, losses: {torture.losses}")
    sys.exit(torture.losses > 0)


@contextmanager
def served(content: bytes) -> Iterator[str]:
    """Run a server in a process of its own, and yield its address."""
    server = Server([Give(content)], {})
    child = os.fork()
    if not child:
        server.serve_forever()
    try:
        yield server.url
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
