"""Pastes: what a terminal pastes is text, also where it holds escape sequences.

Textual takes an escape sequence within a paste for keys: it could quit the program, and came before the text around it.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.drivers import linux_driver
from textual.events import Key
from textual.message import Message

from tui.text import visible

_ESCAPE = "\x1b"


def take_pastes_as_text() -> None:
    """Let the apps of this process read their terminals with a `PasteParser`."""
    linux_driver.XTermParser = PasteParser  # type: ignore[attr-defined]


class PasteParser(XTermParser):
    """Textual's parser of what a terminal sends, to which a paste holds no escape character."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._in_paste = False
        self._begun = ""
        """The beginning of the mark of a paste's beginning or end, with which the last part of the input ended."""

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the messages of the next part of the input; an empty one is its end.

        Textual makes a `^` of an escape key that other keys follow at once, as over a slow line: here it is that key.
        """
        text = self._shown(data)
        messages = super().feed(text) if text or not data else ()
        return messages if "^" in text else map(_escape_of, messages)

    def _shown(self, data: str) -> str:
        """Replace the escape characters within a paste; the beginning of a mark that may end it waits for the rest."""
        shown: list[str] = []
        while data:
            mark = BRACKETED_PASTE_END if self._in_paste else BRACKETED_PASTE_START
            passed = 0 if self._in_paste else len(self._begun)  # a key must not wait
            before, found, data = f"{self._begun}{data}".partition(mark)
            self._begun = "" if found else _end_within(before, mark)
            if self._in_paste:
                before = before.removesuffix(self._begun).replace(_ESCAPE, visible(_ESCAPE))
            shown.append(f"{before}{found}"[passed:])
            self._in_paste ^= bool(found)
        return "".join(shown)


def _escape_of(message: Message) -> Message:
    is_escape = isinstance(message, Key) and message.key == "circumflex_accent"
    return Key("escape", _ESCAPE) if is_escape else message


def _end_within(text: str, mark: str) -> str:
    """Return the longest end of a text with which a mark begins."""
    ends = (text[-length:] for length in range(min(len(mark) - 1, len(text)), 0, -1))
    return next((end for end in ends if mark.startswith(end)), "")
