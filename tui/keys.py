"""Keys: the bindings that all lists of hits share, and the table of keys for the help screen."""

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

KEYS = [
    ("just type", "search: a key that is no command goes to the search box"),
    ("/ or i", "go to the search box; there, every key types"),
    ("enter ↓ esc", "go from the box to the list"),
    ("↑ ↓ k j", "move the cursor; also page keys, g (first), G (last)"),
    ("enter", "follow: make the caption under the cursor the query"),
    ("backspace", "return to the previous query (alt+← from anywhere)"),
    ("alt+→", "go forward again, to where you came back from"),
    ("r", "search with a random caption (ctrl+r from anywhere)"),
    ("tab", "rank by the next method (shift+tab: the previous one)"),
    ("c", "compare: show the lists of several methods side by side"),
    ("s", "fold: show each image once, or all captions again"),
    ("v", "why: show the panels whole, or a line of each"),
    ("t", "trail: all queries with the distances between them, to return to one"),
    ("b", "bookmark the caption under the cursor, with a note (★ in the list)"),
    ("B", "bookmarks: follow one, or take it away"),
    ("y Y", "copy the caption under the cursor, or the first hundred hits"),
    ("e", "export the list to a file (in the trail: the trail; in a comparison: its lists)"),
    ("S", "save a picture of the screen (SVG)"),
    ("ctrl+p", "open the command palette, which also has themes"),
    ("?", "show this help"),
    ("q ctrl+c", "quit (ctrl+c from anywhere)"),
]
"""Keys and what they do, as (keys, description)."""
