"""HelpScreen: the keys, and how to read what is shown."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

_KEYS = [
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

_READING = """\
Every caption is a point in the space of the sentence encoder; the list ranks all of them by their cosine distance to \
the query: 0 is the same direction. A full bar is as far as the median caption. “closer 99.2%”: closer to the query \
than 99.2% of captions drawn at random are to queries of its length.

Methods: infersent is the encoder as it is; words, the mean of the word vectors, weighted by their rarity; bm25, the \
words themselves, with scores in place of distances; context, the encoder with the query moved towards captions that \
have its words; fused, the first three together; auto, what was measured to be best at the query's length. In a \
comparison the words that a hit shares with the query are underlined, below it stand its ranks by the other methods; \
overlap@10 counts what two lists share of their first ten.

The verdict is the worse of two things: whether queries of this length succeed at least half as often as whole \
captions do, and the chance of success that this query's hits have the look of. Success is a sister, another caption \
of the same image, among the first ten. Both were measured on these captions; until then rules of thumb stand.

Word importance is the share of the embedding's features whose maximum, in max pooling, falls on that word. A word \
without a vector is dropped before encoding.

“rainbow ~ sky 9%”: 9% of the cosine of query and hit come from features that “rainbow” won there and “sky” here. ×4: \
four captions have this text. +3: three more captions of this image are folded into the line.

A typed “a dog on a beach - a dog + 2 * a horse” is a sum of embeddings; quotes around it make it a plain text."""


class HelpScreen(ModalScreen[None]):
    """Shows the keys; escape, q, ? and enter close it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "app.pop_screen", "Close")]

    def compose(self) -> ComposeResult:
        """One scrolling page."""
        keys = [Content.assemble((f"{key:<12}", "bold $text-accent"), text) for key, text in _KEYS]
        with VerticalScroll(id="help"):
            yield Static(Content("\n").join([*keys, Content(""), Content(_READING)]))
