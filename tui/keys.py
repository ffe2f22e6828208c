"""Keys: those of every list of hits, and what all keys do, for the help screen."""

from __future__ import annotations

from textual.binding import Binding, BindingType

LIST_KEYS: list[BindingType] = [
    Binding("up,k", "move(-1)", "Up", show=False),
    Binding("down,j", "move(1)", "Down", show=False),
    Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
    Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False),
    Binding("home,g", "go(0)", "First", show=False),
    Binding("end,G", "go(-1)", "Last", show=False),
    Binding("enter", "follow", "follow", key_display="⏎"),
]
"""The keys of every list of hits."""

KEYS = [
    ("/ or i", "to the search box, where every key types"),
    ("enter ↓ esc", "from the box to the list"),
    ("↑ ↓ k j", "from neighbour to neighbour; page keys, g, G go further"),
    ("enter", "follow: the caption under the cursor becomes the query"),
    ("backspace", "back to the query before (also alt+←, from anywhere)"),
    ("r", "ask a random caption (ctrl+r from anywhere)"),
    ("tab", "another method ranks the list (shift+tab: backwards)"),
    ("c", "compare: the lists of several methods side by side"),
    ("s", "fold: each image once, at its nearest; again: all"),
    ("ctrl+p", "command palette, themes"),
    ("?", "this help"),
    ("q ctrl+c", "leave (ctrl+c from anywhere)"),
]
"""Each key with what it does."""
