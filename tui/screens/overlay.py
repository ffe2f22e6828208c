"""Overlay: a screen over the main one, which is closed once, however fast the keys and clicks come."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

Result = TypeVar("Result")


class Overlay(ModalScreen[Result]):
    """A screen over others. What would close it while it is not on top, or closed already, does nothing.

    Textual would close the screen that is on top then, or fail.
    """

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close the screen with a result."""
        return super().dismiss(result) if self.is_current else AwaitComplete()
