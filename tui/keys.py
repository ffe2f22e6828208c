"""Keys: the commands with their keys and what they do, for the help screen and the config file."""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS = {
    "find": ("/ i", "go to the search box; there, every key types"),
    "back": ("backspace", "return to the previous query (alt+← from anywhere)"),
    "forward": ("alt+→", "go forward again, to where you came back from"),
    "random": ("r", "search with a random caption (ctrl+r from anywhere)"),
    "method": ("tab", "rank by the next method (shift+tab: the previous one)"),
    "compare": ("c", "show the lists of several methods side by side"),
    "images": ("s", "show each image once, or all captions again"),
    "why": ("v", "show the panels whole, or a line of each"),
    "trail": ("t", "all queries with the distances between them, to return to one"),
    "bookmark": ("b", "mark the caption under the cursor, with a note (★ in the list)"),
    "bookmarks": ("B", "show what is marked, to follow or to take it away"),
    "copy": ("y", "copy the caption under the cursor"),
    "copy-list": ("Y", "copy the first hundred hits"),
    "export": ("e", "write the list to a file; in the trail, the trail; also a comparison"),
    "picture": ("S", "save a picture of the screen (SVG)"),
    "help": ("?", "show this help"),
    "quit": ("q", "leave (ctrl+c from anywhere)"),
}
"""The commands by the names of their bindings, with their keys and what they do."""

_ALWAYS = [
    ("just type", "search: a key that is no command goes to the search box"),
    ("enter ↓ esc", "in the box: go to the list"),
    ("↑ ↓ k j g G", "move the cursor; also page keys and space"),
    ("enter", "follow: make the caption under the cursor the query"),
    ("ctrl+p", "the command palette: all commands, and themes"),
]


def key_table(keymap: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return keys and what they do, with the keys of `keymap` in place of the usual ones of its commands."""
    changed = [(keymap.get(name, keys).replace(",", " "), what) for name, (keys, what) in COMMANDS.items()]
    return [*_ALWAYS, *changed]
