"""What a person expects of keys in the search box, in the list and on the trail."""

from dataclasses import dataclass, field

PLACEHOLDER = "/ or just type a sentence"
PRINTABLE = "abz q/?rcsxwpfigjkv0.,'é"
COMMANDS = "/?qrcxwpsfigGjkvtbByYeS "
"""Printable keys that act in the list; every other one goes to the search box."""
OTHER_SCREENS = frozenset("?cxwsftbBeSqyY")
"""Keys that open a screen, fold the list, write a file or quit, except in the search box, which takes them."""
KEYS = {  # name: bytes that a terminal sends
    "left": "\x1b[D",
    "right": "\x1b[C",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "ctrl+a": "\x01",
    "ctrl+e": "\x05",
    "backspace": "\x7f",
    "delete": "\x1b[3~",
    "ctrl+u": "\x15",
    "ctrl+k": "\x0b",
    "shift+left": "\x1b[1;2D",
    "shift+right": "\x1b[1;2C",
    "shift+home": "\x1b[1;2H",
    "shift+end": "\x1b[1;2F",
    "enter": "\r",
    "down": "\x1b[B",
    "up": "\x1b[A",
    "ctrl+r": "\x12",
    "alt+left": "\x1b[1;3D",
    "alt+right": "\x1b[1;3C",
}


@dataclass
class Model:
    """What a person expects of the search box, of the trail and of the way between box and list."""

    caption: str
    """The text of the caption that `r` asks."""
    value: str = ""
    cursor: int = 0
    anchor: int = 0
    """The other end of the selection; the cursor's place where nothing is selected."""
    in_box: bool = False
    is_typing: bool = False
    trail: list[str] = field(default_factory=list)
    """The texts asked on the way here, and behind `at` those that the person came back from."""
    at: int = -1

    def __post_init__(self) -> None:
        self.ask(self.caption)

    def press(self, key: str) -> None:
        if self.in_box:
            self._press_in_box(key)
        elif key in ("/", "i"):
            self.in_box, self.cursor, self.anchor = True, 0, len(self.value)
        elif key in ("r", "ctrl+r"):
            self.ask(self.caption)
        elif key in ("backspace", "alt+left"):
            self.back()
        elif key == "alt+right":
            self.forward()
        elif len(key) == 1 and key not in COMMANDS:
            self.paste(key)

    def paste(self, text: str) -> None:
        if not self.in_box:
            self.in_box, self.cursor, self.anchor = True, 0, len(self.value)
        self.put(" ".join(text.split()))

    def _press_in_box(self, key: str) -> None:
        start, end = sorted((self.cursor, self.anchor))
        ends = {"home": 0, "ctrl+a": 0, "end": len(self.value), "ctrl+e": len(self.value)}
        moves = {"left": self.cursor - 1, "right": self.cursor + 1} | ends
        name, keeps = key.removeprefix("shift+"), key.startswith("shift+")
        if name in moves:
            wanted = max(0, min(moves[name], len(self.value)))
            if name in ("left", "right") and start != end and not keeps:
                wanted = start if name == "left" else end
            if not keeps:
                self.anchor = wanted
            elif name in ends:
                self.anchor = self.cursor  # as Textual's text field does it
            self.cursor = wanted
        elif key in ("enter", "down"):
            self.leave()
        elif key == "ctrl+r":
            self.ask(self.caption)
        elif key == "alt+left":
            self.back()
        elif key == "alt+right":
            self.forward()
        elif key == "backspace":
            self.cut(start if start != end else self.cursor - 1, end)
        elif key == "delete":
            self.cut(start, end if start != end else self.cursor + 1)
        elif key == "ctrl+u":
            self.cut(0, self.cursor if start == end else end, selection=(start, end))
        elif key == "ctrl+k":
            self.cut(self.cursor if start == end else start, len(self.value), selection=(start, end))
        elif len(key) == 1:
            self.put(key)

    def put(self, text: str) -> None:
        start, end = sorted((self.cursor, self.anchor))
        self.change(self.value[:start] + text + self.value[end:], start + len(text))

    def cut(self, start: int, end: int, *, selection: tuple[int, int] | None = None) -> None:
        if selection is not None and selection[0] != selection[1]:
            start, end = selection
        start, end = max(0, start), min(end, len(self.value))
        self.change(self.value[:start] + self.value[end:], start)

    def change(self, value: str, cursor: int) -> None:
        self.is_typing = self.is_typing or value != self.value
        self.value, self.cursor, self.anchor = value, cursor, cursor

    def leave(self) -> None:
        self.in_box = False
        if self.trail[self.at] == self.value:
            self.is_typing = False
        elif self.value.strip():
            self.ask(self.value)

    def ask(self, text: str) -> None:
        self.trail[self.at + 1 :] = [text]
        self.at += 1
        self.show(text)

    def back(self) -> None:
        if self.is_typing or self.at > 0:
            self.at -= not self.is_typing
            self.show(self.trail[self.at])

    def forward(self) -> None:
        if self.at + 1 < len(self.trail):
            self.at += 1
            self.show(self.trail[self.at])

    def show(self, text: str) -> None:
        self.value, self.cursor, self.anchor, self.is_typing = text, 0, len(text), False
