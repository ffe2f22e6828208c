"""Bindings: those that all lists of hits share."""

from __future__ import annotations

from textual.binding import Binding

LIST_KEYS: list[Binding] = [
    Binding("up,k", "move(-1)", "Up", show=False),
    Binding("down,j", "move(1)", "Down", show=False),
    Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
    Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False),
    Binding("home,g", "go(0)", "First", show=False),
    Binding("end,G", "go(-1)", "Last", show=False),
    Binding("enter", "follow", "follow", key_display="⏎"),
]
