"""Load: drive the program on the bundled demo for many random steps, or ask it many queries, and watch it.

`python tests/load.py --steps 20000` presses keys, types, pastes up to 100 kB of text that is often hostile, changes the
size of the screen, opens and closes overlays, and makes some searches slow. One caption in twenty is hostile too, some
of them of 30,000 characters. It reports exceptions, answers that do not belong to the question in the search box, what
a terminal would obey, the delays of the event loop with what ran meanwhile, and memory.
`--queries 20000` asks typed texts, captions, sums and followed neighbours, and reports memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from conftest import demo_texts, write_coco
from delays import BAR, DelayWatch, resident_mb
from screen_text import screen_lines, unsafe
from textual.events import Key, Paste, Resize
from textual.geometry import Size
from textual.message import Message
from textual.pilot import Pilot

from core.explorer import Explorer
from core.store.progress import finish
from tui.app import ExplorerApp
from tui.asker import Asker
from tui.messages import Answered, Crashed, Failed, Ordered
from tui.options import Options
from tui.panel import Panel
from tui.requests import Question
from tui.widgets.search_box import boxed

_NAMES = {"/": "slash", "?": "question_mark", " ": "space", "+": "plus", "-": "minus"}
_COMMANDS = [*"/irrrxwcpsfmmvtbByYeSI?gG+-0HJKL", *["enter"] * 6, *["down"] * 8, *["up"] * 4, "pagedown", "pageup"]
_COMMANDS += "tab space shift+tab ctrl+r backspace alt+left alt+right home end escape left right".split()
_EDITS = "left right home end shift+left shift+home ctrl+u ctrl+k ctrl+w ctrl+x ctrl+v backspace delete".split()
_OVERLAYS = [*"?ctbBexweSf", "ctrl+p"]
_LONG = 30_000
_SCROLLED = re.compile("(?:(?<=[│>] )|(?<=[│>]  ))[\u200c\u200d\ufe0e\ufe0f]+")  # of a sign scrolled out of a box
_HOSTILE = [
    "\x1b]52;c;aGk=\x07\x1b[2J\x1b[?1049l",
    "\x00\x01\x7f\x9b31m",
    "\u202eesrever\u2066 \u200f",
    "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301",
    "do\u200bg \u00ad\u3164\ufe01\U000e0101 \U000e0069\U000e0067 \u2028\u2029",
    "\u1100\u1161\u1161\u1161\u1161\u093e\u200d\u200d\u200d\u200d\u200d",
    "👩‍👩‍👧‍👦🏽🇨🇭\ufe0f",
    "\ud800\udfff",
    "漢字かな",
    "[bold red]markup[/] $primary",
    "-- - + * 2 * \"'`",
    "a.b.c.d!?...",
    "#362 ",
    "x" * 500,
]


def write_captions(path: Path, rng: random.Random) -> Path:
    """Write the bundled captions, one of twenty with a hostile end, and of these one of fifty a very long one."""
    captions = demo_texts(10_000)
    texts = list(captions)
    for row in range(0, len(texts), 20):
        size = _LONG if row % 1000 == 0 else rng.randint(10, 300)
        texts[row] = f"{texts[row]} {hostile_text(rng, captions, size)}".encode("utf-8", "replace").decode()
    return write_coco(path, texts)


def hostile_text(rng: random.Random, captions: list[str], size: int) -> str:
    """Compose a text of about `size` characters from captions, line ends and what harms a terminal or a parser."""
    kinds = rng.sample(_HOSTILE, rng.randint(1, 4)) + [rng.choice(captions) for _ in range(rng.randint(0, 3))]
    parts, length = [], 0
    while length < size:
        parts.append(rng.choice(kinds) * rng.choice([1, 1, 1, 30]) + rng.choice(["", " ", "\n", "\t"]))
        length += len(parts[-1])
    return "".join(parts)[:size]


@dataclass
class Load:
    """Random steps on the running program, and what they led to."""

    rng: random.Random
    options: Options
    watch: DelayWatch
    steps: int = 0
    exceptions: int = 0
    stale: int = 0
    unsafe: int = 0
    memory: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.captions = demo_texts(10_000)
        self.other = Explorer(finish(self.options.open_corpus("methods")))
        finish(self.other.opened.open_methods())

    async def drive(self, steps: int, *, every: int) -> None:
        """Take so many steps; start the program again if it fails."""
        while self.steps < steps and self.exceptions < 20:
            app = ExplorerApp(self.options.open_corpus)
            try:
                async with app.run_test(size=(100, 30)) as pilot:
                    self.watch.doing = "opening"
                    await self._ready(app)
                    self._slow_down(app)
                    ticking = asyncio.create_task(self.watch.tick())
                    try:
                        await self._steps(app, pilot, steps, every=every)
                    finally:
                        ticking.cancel()
                        with suppress(asyncio.CancelledError):
                            await ticking
            except Exception:
                self.exceptions += 1
                print(f"step {self.steps}: {self.watch.doing}")
                traceback.print_exc(limit=-12)

    async def _steps(self, app: ExplorerApp, pilot: Pilot[object], steps: int, *, every: int) -> None:
        while self.steps < steps:
            await self._step(app, pilot)
            self.steps += 1
            if not app.is_running or app._exception is not None:
                if app._exception is None:
                    raise RuntimeError("the program left")
                return
            if self.steps % 25 == 0:
                await self._check(app)
            if self.steps % every == 0 or self.steps == steps:
                self.memory.append(resident_mb())
                over = f"{len(self.watch.delays)} delays over 50 ms, largest {1000 * self.watch.largest:.0f}"
                print(f"{self.steps}: {self.memory[-1]:.0f} MB, {over}", flush=True)

    async def _step(self, app: ExplorerApp, pilot: Pilot[object]) -> None:
        rng, watch = self.rng, self.watch
        kind = rng.choices(
            ["keys", "type", "edit", "paste", "large paste", "overlay", "size", "wait", "captions"],
            [40, 15, 10, 6, 2, 10, 5, 8, 4],
        )[0]
        watch.doing = kind
        if kind == "keys":
            keys = rng.choices(_COMMANDS, k=rng.randint(1, 5))
            watch.doing = f"keys {' '.join(keys)}"
            await self._press(app, keys)
        elif kind == "type":
            words = rng.choice(self.captions).split()
            start = rng.randrange(len(words))
            text = " ".join(words[start : start + rng.randint(1, 5)])
            await self._press(app, ["/", "ctrl+u", *text] if app.screen is app.explore else list(text))
        elif kind == "edit":
            await self._press(app, ["/", *rng.choices(_EDITS, k=rng.randint(1, 6)), rng.choice(["x", "enter", "down"])])
        elif kind == "overlay":
            key = rng.choice(_OVERLAYS)
            watch.doing = f"overlay {key}"
            await self._press(app, ["escape", "escape", "escape", key])
            await asyncio.sleep(rng.choice([0, 0, 0.05, 0.2]))
            if key == "ctrl+p":  # its commands would leave
                await self._paste(app, hostile_text(rng, self.captions, rng.randint(1, 300)))
                await self._press(app, [*rng.choices(["down", "up"], k=rng.randint(0, 4)), "escape", "escape"])
                return
            await self._press(app, [*rng.choices(["down", "up", "tab", "right", "enter", "d"], k=rng.randint(0, 4))])
            await self._press(app, ["escape"] * rng.randint(0, 3))
        elif kind == "paste":
            a, b, c = rng.sample(self.captions, 3)
            texts = [a, f"{a} - {b} + {c}", f"2 * {a} - 0.5 * {b}", f"#{rng.randrange(600)}", f'"{a}"', "", "doctor"]
            await self._paste(app, rng.choice([*texts, hostile_text(rng, self.captions, rng.randint(1, 300))]))
        elif kind == "large paste":
            size = int(10 ** rng.uniform(3, 5))
            watch.doing = f"paste of {size}"
            await self._paste(app, hostile_text(rng, self.captions, size))
            await self._press(app, rng.choices([*_EDITS, "x", "enter", "escape"], k=rng.randint(0, 4)))
        elif kind == "size":
            width, height = rng.choice([(20, 5), (60, 15), (80, 24), (100, 30), (120, 40), (250, 80)])
            watch.doing = f"size {width} x {height}"
            size = app._driver._size = Size(width, height)
            app.post_message(Resize(size, size))
            await self._handled(app)
        elif kind == "captions":
            await self._press(
                app, ["escape", "escape", rng.choice(["r", "ctrl+r"]), *["down"] * rng.randint(0, 5), "enter"]
            )
        else:
            await asyncio.sleep(rng.choice([0.01, 0.05, 0.1, 0.5]))

    async def _press(self, app: ExplorerApp, keys: list[str]) -> None:
        """Post keys at once; not those that would leave, nor those that would name a file outside this folder."""
        for key in keys:
            elsewhere = app.screen is not app.explore
            if (key == "/" and elsewhere) or (key == "q" and (elsewhere or not app.explore.search_box.has_focus)):
                continue
            app.post_message(Key(_NAMES.get(key, key), key if len(key) == 1 else None))
        await self._handled(app)

    async def _paste(self, app: ExplorerApp, text: str) -> None:
        app.post_message(Paste(text))
        await self._handled(app)
        self._look(app)

    async def _handled(self, app: ExplorerApp) -> None:
        done = asyncio.Event()
        app.call_later(done.set)
        await asyncio.wait_for(done.wait(), 60)

    async def _ready(self, app: ExplorerApp) -> None:
        for _ in range(6000):
            await asyncio.sleep(0.01)
            if len(app.explore.hit_list) > 100 and app.explore.explorer.opened.rankers is not None:
                return
        raise TimeoutError("no first answer")

    def _slow_down(self, app: ExplorerApp) -> None:
        """Make some answers slow."""
        explorer = app.explore.explorer
        assert explorer is not None
        answer, rng = explorer.answer, random.Random(1)

        def slowly(*given: object, **how: object) -> object:
            if rng.random() < 0.03:
                time.sleep(rng.uniform(0.05, 0.4))
            return answer(*given, **how)

        explorer.answer = slowly

    async def _check(self, app: ExplorerApp) -> None:
        """Wait for the answer, and compare what is shown with the question in the search box and with another asker."""
        explore = app.explore
        self._look(app)
        doing, self.watch.doing = self.watch.doing, "settling"
        for _ in range(8):
            if app.screen is not app.explore:
                await self._press(app, ["escape"])
        session, view, hits = explore.session, explore.view, explore.hit_list
        problem = ""
        for _ in range(3000):
            await asyncio.sleep(0.01)
            answer, shown = view.answer, session.shown
            if not session.is_shown or not shown.settled or answer is None:
                problem = "no answer in 30 s"
            elif waiting := [panel for panel in explore.query(Panel) if panel.is_stale or panel.shrinking]:
                problem = f"not drawn in 30 s: {waiting}"
            elif answer.found is not None and len(hits.ranking) != len(answer.found.order()):
                problem = "no whole list in 30 s"
            else:
                problem = ""
                break
        box = explore.search_box.value
        if not problem and (answer.query.text != shown.text or boxed(shown.text) != boxed(box)):
            problem = f"the list answers {answer.query.text[:80]!r}"
        if not problem and not session.is_typing and session.here.text != shown.text:
            problem = f"the trail ends with {session.here.text[:80]!r}"
        if not problem and answer.query.row is None:
            self.watch.doing = "settled"
            text, method = shown.text, answer.method
            wanted = await asyncio.to_thread(self.other.ask, text, method=method, among=answer.among)
            if wanted.hits.rows[:20].tolist() != answer.hits.rows[:20].tolist() or (
                len(hits) and not hits.by_image and hits.ranking.rows[:20].tolist() != wanted.hits.rows[:20].tolist()
            ):
                problem = "another asker has other hits"
        self._look(app)
        if problem:
            self.stale += 1
            print(f"stale at step {self.steps} ({doing}), box {box[:80]!r} of {len(box)}: {problem}", flush=True)
        self.watch.doing = doing

    def _look(self, app: ExplorerApp) -> None:
        """Look whether the screen passes on what a terminal would obey."""
        doing, self.watch.doing = self.watch.doing, "looking at the screen"
        for line in screen_lines(app):
            if found := unsafe(_SCROLLED.sub("", line)):
                self.unsafe += 1
                print(f"unsafe at step {self.steps} ({doing}): {found} in {line!r}", flush=True)
        self.watch.doing = doing


def ask_many(options: Options, queries: int, rng: random.Random) -> list[float]:
    """Ask queries of every kind by an `Asker`, as the screen does; return memory at the start and every thousand."""
    captions, messages = demo_texts(10_000), SimpleQueue()
    explorer = Explorer(finish(options.open_corpus("methods")))
    finish(explorer.opened.open_methods())
    asker = Asker(messages.put)
    asker.start(explorer)
    memory, rows = [resident_mb()], [0]
    try:
        for serial in range(1, queries + 1):
            text, row = one_query(captions, rng, rows)
            asker.ask(Question(serial, text, row, rng.random() < 0.5, rng.choice(explorer.opened.choices)))
            rows = rows_of_the_answer(messages) or rows
            if serial % 1000 == 0:
                memory.append(resident_mb())
                own = resident_mb("RssAnon")
                print(f"{serial}: {memory[-1]:.1f} MB, {own:.1f} without mapped files", flush=True)
    finally:
        asker.stop()
        asker.join(10)
    return memory


def one_query(captions: list[str], rng: random.Random, rows: list[int]) -> tuple[str, int | None]:
    """Compose a query: a caption, one of the hits before, a part of two captions, or a sum; and its row."""
    kind = rng.randrange(4)
    a, b, c = rng.sample(captions, 3)
    if kind < 2:
        row = rng.choice(rows) if kind else rng.randrange(len(captions))
        return captions[row], row
    if kind == 2:
        words = f"{a} {b}".split()
        start = rng.randrange(len(words) - 3)
        return " ".join(words[start : start + rng.randint(1, 8)]), None
    return f"{a} - {b} + {c}", None


def rows_of_the_answer(messages: SimpleQueue[Message]) -> list[int]:
    """Wait for an answer and for its whole order, and return its first rows."""
    while True:
        message = messages.get(timeout=60)
        if isinstance(message, Failed | Crashed):
            raise message.error
        if isinstance(message, Ordered):
            return message.ranking.rows[:20].tolist()
        if isinstance(message, Answered) and message.answer.found is None:
            return []


def report_memory(memory: list[float], limit: float) -> bool:
    """Print the memory at the start, at its largest and at the end, and return whether it went over the limit."""
    print(f"memory: start {memory[0]:.0f}, largest {max(memory):.0f}, end {memory[-1]:.0f} MB")
    return max(memory) > limit


def main() -> None:
    """Run the load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--queries", type=int, default=0)
    parser.add_argument("--memory", type=float, default=1500, metavar="MB", help="the most that may be resident")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {f"XDG_{kind}_HOME": f"{name}/{kind}" for kind in ("DATA", "CONFIG", "CACHE")}
        (Path(name) / "work").mkdir()
        os.chdir(Path(name) / "work")  # for what is exported
        captions = write_captions(Path(name) / "captions.json", random.Random(given.seed))
        options = Options(captions=captions, cache_dir=Path(name) / "cache", device="cpu")
        if given.queries:
            memory = ask_many(options, given.queries, random.Random(given.seed))
            print(f"queries: {given.queries}")
            failed = report_memory(memory, given.memory)
        if given.steps:
            watch = DelayWatch()
            load = Load(random.Random(given.seed), options, watch, memory=[resident_mb()])
            asyncio.run(load.drive(given.steps, every=max(1, given.steps // 40)))
            for delay in sorted(watch.delays, reverse=True)[:40]:
                worked = f"{1000 * delay.seconds:.0f} ms, processor time {1000 * delay.worked:.0f} ms"
                print(f"{worked}: {delay.doing}: {delay.where}")
            busy = sum(delay.worked > BAR for delay in watch.delays)
            print(f"delays with over 50 ms of processor time of this process: {busy}")
            wrong = load.exceptions + load.stale + load.unsafe
            print(f"steps: {load.steps}, exceptions: {load.exceptions}, stale: {load.stale}, unsafe: {load.unsafe}")
            print(f"event loop: largest delay {1000 * watch.largest:.0f} ms, {len(watch.delays)} over 50 ms")
            failed = report_memory(load.memory, given.memory) or wrong > 0 or failed
    sys.exit(failed)


if __name__ == "__main__":
    main()
