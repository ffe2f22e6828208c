"""HelpScreen: the keys, and how to read the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.bindings import LIST_KEYS
from tui.keys import key_table
from tui.screens.overlay import Overlay
from tui.text import drawable

_READING = """\
Every caption is a point in the space of the sentence encoder. The list ranks all captions by their cosine distance \
to the query, where 0 is the same direction. The bars run from the nearest to the farthest hit on the screen. Words \
that a hit shares with the query are underlined, and a dot marks captions that you have visited. A line in the list \
ends the relevant hits: those above it are as near to the query as the nearest 1% of random captions are. “Nearer \
than 99.2%” means: this hit is nearer to the query than 99.2% of random captions are to queries of the same length.

“Step 3 · .41 from ...” means: you followed three hits, and the query is now at distance .41 from where you began.

Methods of ranking:
· infersent: the distance of sentence embeddings
· words: the distance of mean word vectors, weighted by rarity
· bm25: the BM25 score of word stems, which is not a distance
· context: infersent, with the query moved towards captions that contain its words
· fused: the ranks by infersent, words and bm25 combined
· auto: the method that the calibration found best for the query's length

A comparison shows each text once, with its ranks by the other methods (– if it is not among their first hundred). The \
value overlap@10 is the number of captions, the query itself left out, that are among the first ten of both lists.

The verdict answers three questions. Is the query about what these captions are about? Not if hit 1 is so far, or \
the words of a long query so rare, as for sentences about other things and for 1% of captions at most. Is it long \
enough to single out one scene? Not if such queries find their image (another caption of it among the first ten) less \
than half as often as whole captions do. Are the hits about it? A hit is confirmed when the other captions of its \
image, together, have all words of the query. Short queries and sums are judged by their confirmed hits, longer ones \
by five confirmed hits, or the chance that queries with such hits find their image. “Not in the first ten hits” names \
words that no caption of the images of these hits has. The calibration measures all of this on these captions (how \
often an image is found, among 25,000 of them at most); until then, rules of thumb apply. \
The curve shows how often queries of 1, 2, 3 ... content words find their image. Lists by other methods have no level.

Word importance is the share of the embedding's features whose maximum, in max pooling, falls on that word. The rest \
falls on the marks that the encoder puts at the start and the end of every sentence. A word without a vector is \
dropped before encoding.

“rainbow ~ sky 9%” means: 9% of the cosine of query and hit comes from features whose maximum falls on “rainbow” in \
the query and on “sky” in the hit. ×4 means: four captions have this text. +3 means: three more captions of this \
image are folded into the line.

The features (w) behind such a pair have numbers; for each stand the words on which it falls in the hundred captions \
where it is greatest. A text such as “#362” asks for the captions that have most of that feature.

Variations are copies of the query, each with one change, made by rules for English. Their bars are the distances from \
the query. The line across the bars is the distance within which 95% of other articles and contractions, which change \
no meaning, move captions: a change that moves the query no farther is unseen. Of the two lists, − marks the hits that \
a variation loses, + those that it finds instead.

A filter (f) keeps captions that meet all of its conditions: a word, a “quoted phrase”, a /regular expression/ (RE2, \
without regard to case), length<8 (words), image:362, region:3,5 (of the map), is:bookmarked, and column:value or \
column>=3 of a table; a minus before a condition leaves out what meets it. The list, random captions and comparisons \
are then of these captions; the verdict is about the query among all.

The map (m) shows captions as dots, more of them in a cell brighter: ◆ the query, 1 to 9 its nearest hits, ○ other \
relevant ones, ★ bookmarks, • what you have visited. Arrows or a click move the cursor, + − and the wheel zoom, \
shift+arrows or a drag pan, 0 shows all, enter follows. Its title says how much of the variance the plane holds: \
captions that are near on it may be far apart, so trust the distances of the list. The names stand in the middle of \
regions, parts of the captions that lie together by more dimensions than a plane has; space searches only that of the \
caption under the cursor, and all again. Dim dots are captions that a filter leaves out. Axes (a) lead from one phrase \
to another: “indoors > outdoors; one person > a crowd”. m goes to the map, and from there closes it.

A pinned query stays in a line of its own, with its distance to each query after it.

A text such as “a dog on a beach - a dog + 2 * a horse” is a sum of embeddings. Quotes make it plain text."""


class HelpScreen(Overlay[None]):
    """The keys and an explanation of the screen, in one page that scrolls with the keys of a list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss(None)", "Close"),
        *LIST_KEYS[:-1],
    ]

    def __init__(self, corpus: str, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._keymap = keymap
        self._corpus = drawable(corpus)
        self.page = VerticalScroll(id="help", can_focus=False)

    def compose(self) -> ComposeResult:
        """Yield the page."""
        corpus = [Content.assemble(("These captions: ", "bold $text-accent"), self._corpus), Content("")]
        keys = [Content.assemble((f"{key:<12}", "bold $text-accent"), text) for key, text in key_table(self._keymap)]
        self.page.border_title, self.page.border_subtitle = "help", "↓ scrolls · esc closes"
        with self.page:
            yield Static(Content("\n").join([*(corpus if self._corpus else []), *keys, Content(""), Content(_READING)]))

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self.page.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scroll by screen pages."""
        self.page.scroll_relative(y=pages * (self.page.size.height - 1), animate=False)

    def action_go(self, line: int) -> None:
        """Scroll to the beginning, or to the end with -1."""
        self.page.scroll_to(y=line if line >= 0 else self.page.max_scroll_y, animate=False)
