"""Keys act in the order in which they were pressed: bursts against a model of a text field, a list and a trail."""

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from key_model import KEYS, OTHER_SCREENS, PRINTABLE, Model
from test_app import make_app, ready, settle
from textual.events import Key, Paste

ROW = 42
"""The caption that `r` asks, always."""

NAMES = {"/": "slash", "?": "question_mark", " ": "space", ".": "full_stop", ",": "comma", "'": "apostrophe"}
"""Textual's names of printable keys."""

key = st.sampled_from([*PRINTABLE, *KEYS])
typed = st.text("ab z", min_size=1, max_size=5).map(list)
burst = st.lists(st.one_of(key.map(lambda each: [each]), typed), min_size=1, max_size=12).map(
    lambda parts: [each for part in parts for each in part]
)


class Keys(RuleBasedStateMachine):
    """Bursts of keys, pastes and changes of size, posted at once to the running program."""

    files = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.app = make_app(self.files)
        self.running = self.app.run_test(size=(100, 30))
        self.pilot = self.runner.run(self.running.__aenter__())
        self.runner.run(ready(self.pilot))
        self.model = Model(self.app.explore.explorer.opened.captions.texts[ROW])

    def teardown(self) -> None:
        self.runner.run(self.running.__aexit__(None, None, None))
        self.runner.close()

    @rule(keys=burst)
    def press(self, keys: list[str]) -> None:
        for each in keys:
            if each in {"enter", *OTHER_SCREENS} and not self.model.in_box:
                continue  # enter follows the hit under the cursor, which depends on when the answers come
            self.post(each)
            self.model.press(each)

    @rule(opening=st.sampled_from("?ctbef"), keys=burst)
    def look_elsewhere_and_press(self, opening: str, keys: list[str]) -> None:
        if not self.model.in_box:
            self.post(opening)
            if opening in "?t":  # the other screens open only when there are methods, or hits
                self.app.post_message(Paste("lost"))
            self.post("escape")
        self.press(keys)

    def post(self, key: str) -> None:
        self.app.post_message(Key(NAMES.get(key, key), key if len(key) == 1 else None))

    @rule(text=st.sampled_from(["a dog", "two\nlines", "  ", "x"]))
    def paste(self, text: str) -> None:
        self.app.post_message(Paste(text))
        self.model.paste(text)

    @rule(size=st.sampled_from([(60, 15), (80, 24), (120, 40)]))
    def resize(self, size: tuple[int, int]) -> None:
        self.runner.run(self.pilot.resize_terminal(*size))

    @rule()
    def wait(self) -> None:
        self.runner.run(settle(self.pilot))

    @invariant()
    def agrees(self) -> None:
        self.runner.run(self._handled())
        explore, model = self.app.explore, self.model
        box = explore.search_box
        assert box.value == model.value
        assert (explore.focused is box) == model.in_box
        if model.in_box:
            assert tuple(box.selection) == (model.anchor, model.cursor)
        assert [visit.text for visit in explore.session.path] == model.trail[: model.at + 1]
        assert explore.session.is_typing == model.is_typing

    async def _handled(self) -> None:
        done = asyncio.Event()
        self.app.call_later(done.set)  # behind all keys that were posted
        await asyncio.wait_for(done.wait(), 60)
        await self.pilot.pause()


@pytest.fixture
def one_random_caption(monkeypatch):
    monkeypatch.setattr("core.explorer.Explorer.random_row", lambda explorer, rng=None, **how: ROW)
    monkeypatch.setattr("tui.asker._IDLE_SECONDS", 1e6)


def test_bursts_of_keys_pastes_and_sizes_do_what_they_would_do_one_by_one(files, one_random_caption):
    Keys.files = files
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    phases = [Phase.explicit, Phase.reuse, Phase.generate]  # shrinking takes minutes, and the bursts are short
    is_long = settings.get_current_profile_name() == "long"  # `--hypothesis-profile=long`: 10,000 steps
    run_state_machine_as_test(
        Keys,
        settings=settings(
            settings.default,
            deadline=None,
            max_examples=100 if is_long else 8,
            stateful_step_count=100 if is_long else 12,
            phases=phases,
            suppress_health_check=checks,
        ),
    )


@pytest.mark.parametrize("keys", [[], ["slash"], ["question_mark"], ["c"]])
async def test_ctrl_c_leaves_from_every_screen(files, keys):
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press(*keys)
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert app.return_code == 0
