"""Draw the README's picture: `make picture` runs the explorer on the demo, presses keys and saves its screen."""

import asyncio
from pathlib import Path

from tui.app import ExplorerApp
from tui.options import Options

SIZE = (116, 30)
QUERY = "a rainbow is in the sky over an empty road"


async def draw(path: Path) -> None:
    """Save the screen after a query has its measured verdict and the hit under the cursor is explained."""
    app = ExplorerApp(Options().open_corpus)
    async with app.run_test(size=SIZE) as pilot:

        async def until_measured() -> None:
            while app.explore.view.answer is None or not app.explore.view.answer.verdict:
                await pilot.pause(0.1)
            while app.explore.view.answer.verdict.whole is None:
                await pilot.pause(0.1)

        await until_measured()
        await pilot.press(*("space" if char == " " else char for char in f"/{QUERY}"), "enter", "down")
        while app.explore.session.here is None or app.explore.session.here.text != QUERY:
            await pilot.pause(0.1)
        await pilot.pause(1)
        await until_measured()
        while app.explore.view.caption_pane.explanation is None:
            await pilot.pause(0.1)
        app.explore.status_line.update("")  # times differ from run to run
        path.write_text(app.export_screenshot(title="infersent-tui"), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(draw(Path(__file__).parent / "explorer.svg"))
