"""HelpScreen: the keys, and how to read what is shown."""

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
Every caption is a point in the space of the sentence encoder. The list ranks all of them by cosine distance to the \
query; 0 is the same direction. A full bar is as far as the median caption. “closer 99.2%”: closer to the query \
than 99.2% of captions drawn at random are to queries of its length.

Methods: infersent is the encoder alone; words, the mean of the word vectors, weighted by rarity; bm25, BM25 over \
word stems, with scores in place of distances; context, the encoder with the query moved towards captions that have \
its words; fused, the ranks of the first three together; auto, the method that was measured to be best at the \
query's length. A comparison underlines the words that a hit shares with the query and shows its ranks by the other \
methods; overlap@10 counts what two lists share of their first ten.

The verdict is the worse of two judgements: whether queries of this length succeed at least half as often as whole \
captions do, and how probable success is for a query with such hits. A query succeeds when another caption of the \
same image is among its first ten hits. Both were measured on these captions; before that, rules of thumb apply. \
Lists of other methods get no verdict, but what was measured of the method.

Word importance is the share of the embedding's features whose maximum, in max pooling, falls on that word. A word \
without a vector is dropped before encoding.

“rainbow ~ sky 9%”: 9% of the cosine of query and hit come from features whose maximum falls on “rainbow” in the \
query and on “sky” in the hit. ×4: four captions have this text. +3: three more captions of this image are folded \
into the line.

A typed “a dog on a beach - a dog + 2 * a horse” is a sum of embeddings; quotes around it make it a plain text."""


class HelpScreen(ModalScreen[None]):
    """Shows the keys; escape, q, ? and enter close it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "app.pop_screen", "Close")]

    def compose(self) -> ComposeResult:
        """One scrolling page."""
        keys = [Content.assemble((f"{key:<12}", "bold $text-accent"), text) for key, text in KEYS]
        with VerticalScroll(id="help"):
            yield Static(Content("\n").join([*keys, Content(""), Content(_READING)]))
