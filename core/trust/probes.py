"""Probes: test queries, cut from the corpus's own captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from core.corpus.images import Images
from core.corpus.sentences import Sentences
from core.corpus.vocabulary import Vocabulary
from core.query import Token

LENGTHS = (1, 2, 3, 4, 6, 8, 12)
"""Lengths of the queries that are cut from captions."""
Kind = Literal["span", "words", "whole"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""A run of tokens; content words in their order; the whole caption, whose length is written as 0."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A query that was cut from a caption."""

    kind: Kind
    """How it was cut."""
    length: int
    """In tokens (span) or content words (words); 0 for a whole caption."""
    source: int
    """The caption that it is cut from."""
    tokens: tuple[str, ...]
    """Its tokens, all of them known."""
    ids: tuple[int, ...]
    """Of the tokens, without marks."""
    extra: bool = False
    """Whether it is beyond the number that every length has."""

    @property
    def content(self) -> int:
        """How many of its tokens are content words."""
        return sum(Token(token, True, 0.0).is_content for token in self.tokens)


def cut_probes(
    sentences: Sentences,
    vocabulary: Vocabulary,
    images: Images | None,
    random: np.random.Generator,
    *,
    most_sources: int,
    most: int,
) -> list[Probe]:
    """Cut queries: equally many of each kind and length, as far as there are captions long enough.

    Args:
        sentences: The captions' token ids, N of them.
        vocabulary: What the ids stand for.
        images: The captions' image groups; then only captions with siblings are cut from. None where there are none.
        random: Makes every choice.
        most_sources: At most how many captions are cut from.
        most: At most how many queries of a kind and length, whole captions beyond that being `extra`.
    """
    usable = np.diff(sentences.starts) > 2  # (N,) at least one known word
    if images is not None:
        usable &= images.have_siblings()
    sources = random.permutation(np.flatnonzero(usable))[:most_sources].tolist()
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
            break  # too few captions are as long
        for row in random.permutation(long)[:most].tolist():
            chosen = np.sort(random.choice(len(content[row]), length, replace=False))
            probes.append(cut("words", length, row, [content[row][i] for i in chosen]))
    for number, row in enumerate(sources):
        probes.append(cut("whole", 0, row, range(len(ids[row])), extra=number >= most))
    return probes
