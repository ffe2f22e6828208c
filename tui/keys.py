"""Keys: the commands with their keys and what they do, for the help screen and the config file."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

COMMANDS = {
    "find": ("/ i", "go to the search box; there, every key types"),
    "back": ("backspace", "return to the previous query (alt+← from anywhere)"),
    "forward": ("alt+→", "go forward again, to where you came back from"),
    "random": ("r", "search with a random caption (ctrl+r from anywhere)"),
    "method": ("tab", "rank by the next method (shift+tab: the previous one)"),
    "compare": ("c", "show the lists of several methods side by side"),
    "variations": ("x", "change the query, and see which changes the encoder does not see"),
    "features": ("w", "features that make the hit near, and the words on which they fall"),
    "pin": ("p", "pin the query: its distance to each later one is shown"),
    "filter": ("f", "search a part of the captions, by words, length, image or column"),
    "map": ("m", "show the captions on a map, beside the list where there is room"),
    "show-image": ("I", "show the image of the caption under the cursor (--images)"),
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
    return [*_ALWAYS, *((keys_of(command, keymap), what) for command, (_, what) in COMMANDS.items())]


def keys_of(command: str, keymap: Mapping[str, str]) -> str:
    """Return the keys of a command, with blanks between them."""
    return " ".join(map(_shown, keymap[command].split(","))) if command in keymap else COMMANDS[command][0]


def first_key(command: str, keymap: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the first key of a command, for a hint on the screen."""
    return keys_of(command, keymap).split()[0]


def _shown(key: str) -> str:
    """Return a key as a person knows it: `?` for `question_mark`."""
    signs = {key_name(sign): sign for sign in string.punctuation}
    *modifiers, last = key.split("+")
    return "+".join([*modifiers, signs.get(last, last)])


_FIXED = {"escape", "shift+tab", "ctrl+r", "alt+left", "ctrl+c", "ctrl+z", "ctrl+p"}
_SAME = {"ctrl+i", "ctrl+m", "ctrl+j", "ctrl+h"}  # which terminals send as tab, enter and backspace
_MODIFIERS = {"ctrl", "alt", "shift", "super", "hyper", "meta"}


def usable_keys(wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Choose those of the wanted keys that exist and that nothing else has.

    Args:
        wanted: Keys of commands, with commas between them, by command.

    Returns:
        Keys in Textual's names, with commas between them, by command; and what is wrong with the others.
    """
    from tui.bindings import LIST_KEYS

    taken = _FIXED | {key for binding in LIST_KEYS for key in binding.key.split(",")}
    usual = {command: tuple(map(str, map(key_name, keys.split()))) for command, (keys, _) in COMMANDS.items()}
    problems: list[str] = []
    chosen: dict[str, tuple[str, ...]] = {}
    for command, text in wanted.items():
        keys = {part.strip(): key_name(part.strip()) for part in text.split(",")}
        if unknown := [part for part, key in keys.items() if key is None]:
            problems.append(f"the key of {command}: there is no key {unknown[0]!r} (there are f5, ctrl+n, g, ?)")
        elif both := taken & set(keys.values()):
            problems.append(f"the key of {command}: {min(map(str, both))} cannot be assigned")
        else:
            chosen[command] = tuple(key for key in keys.values() if key is not None)
    while clash := _clash(chosen, usual | chosen):
        command, other, key = clash
        problems.append(f"the key of {command}: {key} is also that of {other}; {command} keeps its usual key")
        del chosen[command]
    return {command: ",".join(keys) for command, keys in chosen.items()}, problems


def _clash(chosen: Mapping[str, tuple[str, ...]], keys: Mapping[str, tuple[str, ...]]) -> tuple[str, str, str] | None:
    """Return a chosen command, another command that has one of its keys, and that key."""
    for command in chosen:
        for other in keys:
            if other != command and (both := set(keys[command]) & set(keys[other])):
                return command, other, min(both)
    return None


def key_name(key: str) -> str | None:
    """Return Textual's name of a key: `question_mark` for `?`; None where there is no such key."""
    from textual.keys import KEY_NAME_REPLACEMENTS, Keys

    key = key.replace("→", "right")
    *modifiers, last = key.split("+") if key.strip("+") else [key]
    if not set(modifiers) <= _MODIFIERS or not last or key in _SAME:
        return None
    if len(last) == 1:
        if "shift" in modifiers:  # the terminal sends the capital letter, or another sign
            return None
        name = unicodedata.name(last, "").lower().replace("-", "_").replace(" ", "_")
        return "+".join([*modifiers, last if last.isalnum() else KEY_NAME_REPLACEMENTS.get(name, name)])
    is_key = last in {each.value for each in Keys} or last in map(key_name, string.punctuation)
    return key if is_key else None
