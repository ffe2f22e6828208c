"""Probes: test queries cut from the captions of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.corpus.images import Images
from core.corpus.sentences import Sentences
from core.corpus.vocabulary import Vocabulary
from core.query import Token, content_words

LENGTHS = (1, 2, 3, 4, 6, 8, 12)
"""Lengths of the test queries."""
_MOST_COPIES = 20
_SUM_LENGTHS, _TERM_LENGTHS = (4, 6, 8), (1, 2)  # of the first term of a sum in tokens, and of the other two
Kind = Literal["span", "words", "whole"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""`span`: consecutive tokens; `words`: content words in order; `whole`: the whole caption, of length 0."""


def length_key(known: int, lengths: Sequence[int] = LENGTHS) -> str:
    """Return the length next to a number of known tokens, as the key of what was measured; "0" beyond the longest."""
    return "0" if known > max(lengths) else str(min(lengths, key=lambda length: abs(np.log(length / max(1, known)))))


@dataclass(frozen=True, slots=True)
class Probe:
    """A test query cut from a caption."""

    kind: Kind
    length: int
    """Tokens (span) or content words (words); 0 for a whole caption."""
    source: int
    """Row of the source caption, or number of the foreign sentence."""
    tokens: tuple[str, ...]
    """Tokens, all of them known."""
    ids: tuple[int, ...]
    """Ids of the tokens, without sentence marks."""
    extra: bool = False
    """Whether it exceeds the number per length."""

    @property
    def content(self) -> int:
        """Number of different content words."""
        return len(content_words(Token(token, True, 0.0) for token in self.tokens))


def cut_probes(
    sentences: Sentences,
    vocabulary: Vocabulary,
    images: Images | None,
    random: np.random.Generator,
    *,
    among: NDArray[np.int64] | None = None,
    most_sources: int,
    most: int,
) -> list[Probe]:
    """Cut test queries, equally many of each kind and length where enough captions are long enough.

    At most `most_sources` captions are cut, of those `among` or of all; only captions with siblings where there are
    image groups. There are at most `most` queries per kind and length; further whole captions are marked `extra`.
    `random` determines every choice.
    """
    usable = np.diff(sentences.starts) > 2  # (N,) at least one known word
    if among is not None:
        usable &= np.isin(np.arange(len(usable)), among)
    if images is not None:
        usable &= images.have_siblings()
    if (rare := usable & (sentences.count_copies() <= _MOST_COPIES)).any():
        usable = rare  # others cost much, since all copies are left out
    sources = random.permutation(np.flatnonzero(usable))[:most_sources].tolist()  # up to most_sources rows
    ids = {row: sentences[row][1:-1].tolist() for row in sources}
    words = {row: vocabulary.words(ids[row]) for row in sources}
    content = {
        row: [place for place, word in enumerate(words[row]) if Token(word, True, 0.0).is_content] for row in sources
    }

    def cut(kind: Kind, length: int, row: int, places: Sequence[int], *, extra: bool = False) -> Probe:
        return Probe(
            *(kind, length, row, tuple(words[row][i] for i in places), tuple(ids[row][i] for i in places)), extra=extra
        )

    probes = []
    for length in LENGTHS:
        for row in random.permutation([row for row in sources if len(ids[row]) >= length])[:most].tolist():
            start = int(random.integers(len(ids[row]) - length + 1))
            probes.append(cut("span", length, row, range(start, start + length)))
    for length in LENGTHS:
        long = [row for row in sources if len(content[row]) >= length]
        if len(long) < min(most, len(sources)) // 2:
            break  # longer captions are even fewer
        for row in random.permutation(long)[:most].tolist():
            chosen = np.sort(random.choice(len(content[row]), length, replace=False))  # (length,)
            probes.append(cut("words", length, row, [content[row][i] for i in chosen]))
    for number, row in enumerate(sources):
        probes.append(cut("whole", 0, row, range(len(ids[row])), extra=number >= most))
    return probes


def groups_of(sources: NDArray[np.int64], sentences: Sentences, images: Images | None) -> NDArray[np.int64]:
    """Number the images of the source captions, (Q,), those that share a text alike; without images, the texts."""
    texts = sentences.texts[sources]  # (Q,)
    if images is None:
        return texts
    count = len(images.sizes)
    shape = (count + int(sentences.texts.max()) + 1,) * 2
    shared = coo_array((np.ones(len(texts)), (images.of[sources], count + texts)), shape=shape)
    labels = connected_components(shared, directed=False)[1]  # (images and texts,)
    return np.asarray(labels[images.of[sources]], np.int64)


def cut_sums(probes: Sequence[Probe], random: np.random.Generator, *, most: int) -> list[tuple[Probe, Probe, Probe]]:
    """Cut the terms of sums such as `a dog on a beach - a dog + a horse`.

    Each has three terms: a run of tokens, a part of it to be subtracted, and a shorter run of another source. `random`
    determines every choice; there are at most `most` sums.
    """
    runs = [each for each in probes if each.kind == "span" and each.length in _SUM_LENGTHS]
    short = [each for each in probes if each.kind == "span" and each.length in _TERM_LENGTHS]
    sums = []
    for i in random.permutation(len(runs))[:most].tolist():
        run = runs[i]
        others = [each for each in short if each.source != run.source]
        if not others:
            continue
        other = others[int(random.integers(len(others)))]
        length = int(random.choice(_TERM_LENGTHS))
        start = int(random.integers(run.length - length + 1))
        part = slice(start, start + length)
        taken = Probe("span", length, run.source, run.tokens[part], run.ids[part])
        sums.append((run, taken, other))
    return sums
