"""HelpScreen: the keys, and how to read the screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import KEYS

_READING = """\
Every caption is a point in the space of the sentence encoder. The list ranks all captions by their cosine distance \
to the query, where 0 is the same direction. A full bar is the distance of the median caption. “closer 99.2%” means: \
this hit is closer to the query than 99.2% of random captions are to queries of the same length.

Methods of ranking:
· infersent: the distance of sentence embeddings
· words: the distance of mean word vectors, weighted by rarity
· bm25: the BM25 score of word stems, which is not a distance
· context: infersent, with the query moved towards captions that contain its words
· fused: the ranks by infersent, words and bm25 combined
· auto: the method that the calibration found best for the query's length

A comparison underlines the words that a hit shares with the query, and shows the ranks of the hit by the other \
methods. The value overlap@10 is the number of captions that are among the first ten of both lists.

A query succeeds when another caption of the same image is among its first ten hits. The verdict is the worse of two \
ratings: whether queries of this length succeed at least half as often as whole captions do, and the probability that \
a query with such hits succeeds. The calibration measures both on these captions; until then, rules of thumb apply. \
Lists by other methods have no verdict; the pane shows the measured success of the method instead.

Word importance is the share of the embedding's features whose maximum, in max pooling, falls on that word. A word \
without a vector is dropped before encoding.

“rainbow ~ sky 9%” means: 9% of the cosine of query and hit comes from features whose maximum falls on “rainbow” in \
the query and on “sky” in the hit. ×4 means: four captions have this text. +3 means: three more captions of this \
image are folded into the line.

A text such as “a dog on a beach - a dog + 2 * a horse” is a sum of embeddings. Quotes make it plain text."""


class HelpScreen(ModalScreen[None]):
    """The keys and an explanation of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "app.pop_screen", "Close")]

    def compose(self) -> ComposeResult:
        """Yield one scrolling page."""
        keys = [Content.assemble((f"{key:<12}", "bold $text-accent"), text) for key, text in KEYS]
        with VerticalScroll(id="help"):
            yield Static(Content("\n").join([*keys, Content(""), Content(_READING)]))
