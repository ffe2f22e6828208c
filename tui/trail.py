"""Trail: the queries a person came through, each with the place where the cursor was left."""

from __future__ import annotations

from dataclasses import dataclass, field

from tui.text import fit


@dataclass(slots=True)
class Visit:
    """One query of the trail."""

    text: str
    """What was asked."""
    row: int | None
    """The caption asked; None for typed text."""
    cursor: int | None = None
    """Where the cursor was when the person went on; None before that."""


@dataclass(slots=True)
class Trail:
    """Followed hits, random captions and submitted texts, the present one last."""

    visits: list[Visit] = field(default_factory=list)

    @property
    def here(self) -> Visit | None:
        """The present query."""
        return self.visits[-1] if self.visits else None

    def leave(self, cursor: int) -> None:
        """Note where the cursor is as the present query goes out of sight."""
        if self.here is not None:
            self.here.cursor = cursor

    def go(self, visit: Visit) -> None:
        """Go on to a query."""
        self.visits.append(visit)

    def back(self) -> Visit | None:
        """Return to the query before; None when this is the first."""
        if len(self.visits) < 2:
            return None
        self.visits.pop()
        return self.here

    def line(self, width: int) -> str:
        """Describe the way here in a line of at most `width` cells, the present query last, as much as fits."""
        steps = [visit.text for visit in self.visits[-4:]]
        if not steps:
            return ""
        more = "… › " if len(self.visits) > len(steps) else ""
        each = max(8, (width - len(more) - 3 * (len(steps) - 1)) // len(steps))
        return more + " › ".join(fit(text, each).rstrip() for text in steps)
