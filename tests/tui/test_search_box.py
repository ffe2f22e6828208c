"""The search box shows as much of its text as fits."""

from textual.app import App, ComposeResult

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
