"""The search box shows as much of its text as fits, and holds nothing that hides or controls the terminal."""

import pytest
from screen_text import unsafe
from textual.app import App, ComposeResult

from tui.text import LONGEST
from tui.widgets.search_box import SearchBox


class Box(App):
    """An app with nothing but a narrow box."""

    CSS = "SearchBox { width: 40; }"

    def compose(self) -> ComposeResult:
        """Yield the box."""
        yield SearchBox()


async def test_a_deletion_to_the_end_leaves_no_blank_part():
    app = Box()
    async with app.run_test(size=(60, 5)) as pilot:
        box = app.query_one(SearchBox)
        box.focus()
        box.put("a text of words that is longer than the box in which it is")
        await pilot.press("end", *["left"] * 25, "ctrl+k")
        await pilot.pause()
        assert box.value == "a text of words that is longer th"
        assert box.scroll_x == 0
        box.put(" and longer than before")
        await pilot.pause()
        assert box.scroll_x == box.max_scroll_x > 0, "the cursor at the end is in view"


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        (("❤", "\ufe0f", " 1", "\ufe0f", "\u20e3"), "❤\ufe0f 1\ufe0f\u20e3"),
        (("👩", "\u200d", "🚀"), "👩\u200d🚀"),
        (("dog", "\ufe0f"), "dog\\ufe0f"),
    ],
)
async def test_a_sign_that_is_typed_in_parts_is_as_one_that_is_pasted_whole(parts, value):
    app = Box()
    async with app.run_test():
        box = app.query_one(SearchBox)
        for part in parts:
            box.put(part)
        assert box.value == value
        box.show("")
        box.put("".join(parts))
        assert box.value == value


async def test_no_way_of_writing_makes_the_box_hold_what_hides_or_too_much():
    app = Box()
    async with app.run_test() as pilot:
        box = app.query_one(SearchBox)
        box.focus()
        box.put("a❤\ufe0fb")
        await pilot.press("left", "left", "backspace")
        assert not unsafe(box.value)
        box.show("z" + "\u0301" * 7)
        await pilot.press("home", "right")
        box.put("\u0301" * 7)
        assert not unsafe(box.value)
        box.show("x" * LONGEST)
        await pilot.press("end", "y")
        assert box.value == "x" * LONGEST
