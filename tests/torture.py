"""Torture: kill each kind of work at random moments, let it run again, and compare with what nobody disturbed.

`python tests/torture.py --kills 300` does this for all kinds of work; the last line says how many kills there were, and
after how many of them something was lost: a result that differs in a bit, an error, or a file that should not be there.
`--crowds 4` lets two and eight processes do the same work at once, kills one of them, and does so four times.
`--full 20` lets each kind of work run on twenty disks that become full, from no room to nearly enough: it must end with
an error for people, and be done well once there is room. This needs the right to mount a disk in memory.
`--signals 150` sends so many signals to commands and to the explorer: see `signals.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from conftest import Files, demo_texts, make_files, write_vectors, write_weights
from signals import Signals
from tqdm import tqdm
from web_server import Give, Server, packed

import core.encoding.building
import core.store.partial
import core.trust.probing
import tui.cli
from core.assets import AssetError
from core.encoding.shards import Shard
from core.explorer import Explorer
from core.fetching import fetch
from core.opening import Need, open_, open_text_encoder
from core.sharding import encode_shard, join_shards
from core.store.cache import Cache
from core.store.progress import finish
from tui.trail import TrailWriter, read_run

_LARGE = 1 << 30
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


def started(run: Callable[[Path], None], folder: Path) -> int:
    """Start work in a child process and return its number."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            run(folder)
            code = 0
        except AssetError as error:
            code = 2 if error.advice else 1
            print(error)
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    """Wait for a child process and return its exit code: 0 done, 2 refused."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(run: Callable[[Path], None], folder: Path, *, kill_after: float | None = None) -> int:
    """Run work in a child process, kill it after so many seconds, and return its exit code."""
    child = started(run, folder)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return ended(child)


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[int], None]]:
    """Put a disk in memory in place of a folder; yield a function that sets its bytes. Only root may."""

    def resize(size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)

    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_LARGE}", "tmpfs", folder], check=True)
    try:
        yield resize
    finally:
        subprocess.run(["umount", folder], check=True)


class Torture:
    """Kills work and counts.

    Args:
        place: A folder for all files.
        seed: Of the moments of the kills.
    """

    def __init__(self, place: Path, seed: int) -> None:
        self.kills = self.crowds = self.disks = self.losses = 0
        self._place, self._rng = place, random.Random(seed)
        self._seconds = 0.0  # that undisturbed work took

    def kill(self, work: Work, *, kills: int) -> None:
        """Kill work so many times, up to three times until it is done, and compare."""
        wanted = self._undisturbed(work, self._fresh("undisturbed"))
        seconds, done, losses = self._seconds, 0, 0
        while done < kills:
            folder = self._fresh("killed")
            self._prepare(folder)
            for _ in range(min(self._rng.randint(1, 3), kills - done)):
                code = in_child(work.run, folder, kill_after=self._rng.uniform(0, seconds))
                done += code == -signal.SIGKILL  # else it had ended before
            losses += not self._is_done(work, folder, wanted)
        print(f"{work.name}: {done} kills within {seconds:.1f} s, {losses} losses", flush=True)
        self.kills, self.losses = self.kills + done, self.losses + losses

    def crowd(self, work: Work, *, crowds: int) -> None:
        """Start two and eight processes of work at once, kill one of them, and compare."""
        wanted, losses, kills = self._undisturbed(work, self._fresh("undisturbed")), 0, 0
        for i in range(crowds):
            folder = self._fresh("crowd")
            self._prepare(folder)
            children = [started(work.run, folder) for _ in range((2, 8)[i % 2])]
            time.sleep(self._rng.uniform(0, self._seconds))
            os.kill(children[0], signal.SIGKILL)
            killed, *codes = [ended(child) for child in children]
            kills += killed == -signal.SIGKILL
            is_done = self._is_done(work, folder, wanted)
            if any(codes) or not is_done:
                losses += 1
                print(f"{work.name}: {len(children)} at once ended with {codes}")
        print(f"{work.name}: {crowds} crowds, {losses} losses", flush=True)
        self.kills, self.crowds, self.losses = self.kills + kills, self.crowds + crowds, self.losses + losses

    def fill(self, work: Work, *, disks: int) -> None:
        """Let work run on disks that become full, then with room, and compare."""
        losses = full = 0
        undisturbed = self._fresh("undisturbed")
        with small_disk(undisturbed):
            wanted = self._undisturbed(work, undisturbed)
            needed = shutil.disk_usage(undisturbed).used
        for i in range(disks):
            folder = self._fresh("full")
            with small_disk(folder) as resize:
                self._prepare(folder)
                used = shutil.disk_usage(folder).used
                room = round(1.2 * (needed - used) * i / disks)
                resize(max(used, 4096) + room)
                code = in_child(work.run, folder)
                full += code == 2
                if code not in (0, 2):
                    losses += 1
                    print(f"{work.name}: an error that is not for people, with {room:,} bytes of room")
                resize(_LARGE)
                losses += not self._is_done(work, folder, wanted)
        print(f"{work.name}: {disks} disks, {full} of them too small, {losses} losses", flush=True)
        self.disks, self.losses = self.disks + disks, self.losses + losses

    def _undisturbed(self, work: Work, folder: Path) -> dict[str, str]:
        """Return the results of work that nobody disturbs."""
        in_child(work.before, self._fresh("before"))
        self._prepare(folder)
        began = time.monotonic()
        if in_child(work.run, folder):
            raise RuntimeError(f"{work.name} fails undisturbed")
        self._seconds = time.monotonic() - began
        return results(folder)

    def _is_done(self, work: Work, folder: Path, wanted: dict[str, str]) -> bool:
        """Let work run to its end, and tell whether its results are those of undisturbed work."""
        code = in_child(work.run, folder)
        found = results(folder)
        if code or found != wanted:
            print(f"{work.name}: {f'code {code} afterwards' if code else _difference(found, wanted)}")
        return not code and found == wanted

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

            latest = self._rng.choice((0.01, 0.2))  # half of the kills meet the first line
            in_child(events, folder, kill_after=self._rng.uniform(0, latest))
            os.close(write)
            with os.fdopen(read, "rb") as counted:
                told = len(counted.read())
            runs = [read_run(path) for path in folder.glob("*.jsonl")]
            kept = sum(len(run.events) for run in runs)
            if kept < told - 1 or len(runs) > 1 or any(run.broken > 1 for run in runs):  # the first visit waits
                losses += 1
                print(f"trail: {told} events were written, {kept} are there")
        print(f"trail: {kills} kills, {losses} losses", flush=True)
        self.kills, self.losses = self.kills + kills, self.losses + losses

    def _prepare(self, folder: Path) -> None:
        """Fill a folder with what the work of `_undisturbed` found before it."""
        shutil.copytree(self._place / "before", folder, dirs_exist_ok=True)

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

    def encoding_shards(*numbers: int) -> Callable[[Path], None]:
        def run(folder: Path) -> None:
            for number in numbers:
                finish(encode_shard(files.setup(), Cache(folder / "cache"), Shard(number, 2)))

        return run

    def joining(folder: Path) -> None:
        finish(join_shards(files.setup(), Cache(folder / "cache")))

    def calibrate(folder: Path) -> None:
        explorer = Explorer(finish(open_(files.setup(), Cache(folder / "cache"), need="methods")))
        finish(explorer.opened.calibrate())

    def fetching(folder: Path) -> None:
        digest = hashlib.sha256(archive).hexdigest()
        finish(fetch("coco", folder / "official", mirror=url, sha256=digest))

    def exporting(folder: Path) -> None:
        os.environ["INFERSENT_TUI_CACHE_DIR"] = str(files.cache)
        sys.argv = ["infersent-tui", "export", "-q", "-o", str(folder / "captions.parquet"), *files.flags]
        try:
            tui.cli.main()
        except SystemExit as end:
            os._exit(int(end.code or 0))

    return [
        Work("convert", nothing, converting),
        Work("encode", converting, opening("matrix")),
        Work("shard", converting, encoding_shards(0)),
        Work("join", encoding_shards(0, 1), joining),
        Work("index", opening("matrix"), opening("methods")),
        Work("calibrate", opening("methods"), calibrate),
        Work("fetch", nothing, fetching),
        Work("export", nothing, exporting),
    ]


def main() -> None:
    """Run the torture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--crowds", type=int, default=0)
    parser.add_argument("--full", type=int, default=0, metavar="DISKS")
    parser.add_argument("--signals", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    tqdm.monitor_interval = 0
    tqdm.set_lock(threading.RLock())  # its own is one with all children: a killed one would hold it for ever
    torch.set_num_threads(1)  # a forked process cannot use threads of its parent
    core.encoding.building.CHUNK = 64
    core.store.partial._SYNC_BYTES = 1 << 16
    core.trust.probing._SOURCES, core.trust.probing._PER_LENGTH = 120, 30
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "files").mkdir()
        files = make_files(place / "files", demo_texts(1500))
        write_weights(files.weights, hidden=256)
        known = [line.split()[0] for line in files.vectors.read_text(encoding="utf-8").splitlines()[1:]]
        write_vectors(files.vectors, [*known, *(f"word{i}" for i in range(40_000))])
        captions = files.captions.read_bytes() + b" " * 4_000_000
        archive = packed(**{"annotations/captions_val2014.json": captions, "other": os.urandom(6_000_000)})
        torture = Torture(place, given.seed)
        with served(archive) as url:
            kinds = all_work(files, url, archive)
            in_child(kinds[-1].run, place)  # fills the cache that exports read
            for work in kinds[:-1]:
                work.run(place / "warm")  # what is imported and compiled here, no child waits for
            (place / "signals").mkdir()
            signals = Signals(place / "signals", url, archive, given.seed)
            signals.send(given.signals)
            share = -(-given.kills // (len(kinds) + 1))
            for work in kinds if given.kills else ():
                torture.kill(work, kills=min(share, given.kills - torture.kills))
            torture.kill_trails(kills=given.kills - torture.kills)
            for work in kinds if given.crowds else ():
                torture.crowd(work, crowds=given.crowds)
            may_mount = os.geteuid() == 0
            if given.full and not may_mount:
                print("no disks: only root may mount them")
            for work in kinds if given.full and may_mount else ():
                torture.fill(work, disks=given.full)
    if given.crowds or given.full:
        print(f"crowds: {torture.crowds}, full disks: {torture.disks}")
    if given.signals:
        print(f"signals: {signals.sent}, wrong: {signals.wrong}")
    print(f"kills: {torture.kills}, losses: {torture.losses}")
    sys.exit(torture.losses + signals.wrong > 0)


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
