"""Draw the pictures of the docs: `make picture` runs the explorer on the demo, presses keys and saves its screen."""

import asyncio
from pathlib import Path

from textual.pilot import Pilot

from tui.app import ExplorerApp
from tui.options import Options

SIZES = {"explorer.svg": (116, 30), "map.svg": (150, 36)}
QUERY = "a rainbow is in the sky over an empty road"


async def draw(path: Path) -> None:
    """Save the screen, or the map, after a query has its measured verdict and the hit under the cursor is explained."""
    app = ExplorerApp(Options().open_corpus)
    async with app.run_test(size=SIZES[path.name]) as pilot:
        await until_measured(app, pilot)
        await pilot.press(*("space" if char == " " else char for char in f"/{QUERY}"), "enter", "down")
        while app.explore.session.here is None or app.explore.session.here.text != QUERY:
            await pilot.pause(0.1)
        await pilot.pause(1)
        await until_measured(app, pilot)
        while app.explore.view.caption_pane.explanation is None:
            await pilot.pause(0.1)
        if path.name == "map.svg":
            await pilot.press("m")
            while app.explore.view.map_pane.regions is None:
                await pilot.pause(0.1)
            await pilot.pause(1)
        app.explore.status_line.update("")  # times differ from run to run
        path.write_text(app.export_screenshot(title="infersent-tui"), encoding="utf-8")


async def until_measured(app: ExplorerApp, pilot: Pilot[object]) -> None:
    """Wait for an answer with a measured verdict."""
    while app.explore.view.answer is None or not app.explore.view.answer.verdict:
        await pilot.pause(0.1)
    while app.explore.view.answer.verdict.whole is None:
        await pilot.pause(0.1)


if __name__ == "__main__":
    for name in SIZES:
        asyncio.run(draw(Path(__file__).parent / name))
