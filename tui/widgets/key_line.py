"""KeyLine: the keys that act now, in one line; a click presses one."""

from __future__ import annotations

from typing import NamedTuple

from textual.content import Content
from textual.events import Click
from textual.reactive import reactive
from textual.screen import Screen
from textual.style import Style

from tui.panel import Panel


class NamedKey(NamedTuple):
    """A key, as it is pressed and as it is shown, and what it does."""

    key: str
    shown: str
    does: str


class KeyLine(Panel):
    """The keys and what they do, as the screen's bindings have them.

    Textual's footer has a widget for each key, makes them anew whenever the focus moves, and keeps the old ones in
    memory (Textual's issue 6666).
    """

    DRAWS = ("keys",)

    keys: reactive[tuple[NamedKey, ...]] = reactive((), repaint=False)

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._note_keys)

    def render(self) -> Content:
        """Draw each key with what it does."""
        return Content(" ").join(
            Content.assemble(
                (each.shown, "bold $footer-key-foreground"), " ", (each.does, "$footer-description-foreground")
            ).stylize(Style.from_meta({"key": each.key}))
            for each in self.keys
        )

    def on_click(self, event: Click) -> None:
        """Press the key under the mouse."""
        if key := event.style.meta.get("key"):
            self.app.simulate_key(key)

    def _note_keys(self, screen: Screen[object]) -> None:
        if not self.app.app_focus:  # the terminal's window is not the active one: what had the focus will have it again
            return
        named: dict[str, NamedKey] = {}
        for _, binding, _, _ in screen.active_bindings.values():
            if binding.show:
                key = NamedKey(binding.key, self.app.get_key_display(binding), binding.description)
                named.setdefault(binding.action, key)
        self.keys = tuple(named.values())
