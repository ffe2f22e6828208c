"""Query: what is asked, as values: tokens, the terms of a sum, and a text ready for every method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# English function words: known to every vector file, but they do not say what a picture shows.
_FUNCTION_WORDS = frozenset(
    """
    's 't 'm 're 've 'll 'd a about above across after again against all along also am among an and another any are
    aren around as at away be because been before behind being below beneath beside besides between both but by can
    could did didn do does doesn doing don down during each either else every few for from further get gets getting
    give given go goes going got had has hasn have haven having he her here hers herself him himself his how i if in
    inside instead into is isn it its itself just let like ll many may me might mine more most much must my myself
    near neither next no none nor not n't of off on once one only onto or other others our ours out outside over own
    past per quite rather re same she should since so some someone something still such than that the their theirs
    them themselves then there these they thing things this those though through thus to together too toward towards
    under until up upon us ve very was wasn we were weren what when where whether which while who whom whose why
    will with within without won would yet you your yours yourself yourselves ain ca mustn mightn needn oughtn sha
    shan wo d m s t
    """.split()
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a query."""

    text: str
    """As the tokenizer made it."""
    known: bool
    """Whether it has a word vector; others are dropped before encoding."""
    importance: float
    """Share of the features whose maximum falls on it, 0..1; 0 when unknown."""
    unfinished: bool = False
    """True for the last word while it may still be typed: being unknown is not held against it yet."""

    @property
    def is_word(self) -> bool:
        """Whether it is more than punctuation."""
        return any(char.isalnum() for char in self.text)

    @property
    def is_content(self) -> bool:
        """Whether it is a word that says something: neither punctuation nor a function word."""
        return self.is_word and self.text.lower() not in _FUNCTION_WORDS

    @property
    def counts(self) -> bool:
        """Whether it is a known content word: their number is a query's length."""
        return self.known and self.is_content


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a query that is a sum."""

    weight: float
    """What its unit embedding is multiplied by."""
    text: str
    """Its text."""
    tokens: tuple[Token, ...]
    """Its tokens, without the sentence marks."""
    marks_importance: float
    """Share of its features whose maximum falls on the two sentence marks, 0..1."""

    @property
    def is_unknown(self) -> bool:
        """Whether it has no known word, and none that may still be typed: there is nothing to add."""
        return not any(token.known or token.unfinished for token in self.tokens)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Query:
    """What is asked, ready for every method. It is made once, and travels in the answer."""

    text: str
    """As asked."""
    literal: str = ""
    """The text without quotes that only keep it from being read as a sum; empty for a sum."""
    row: int | None = None
    """The caption that the query is; it leads its own ranking. None when it is no caption."""
    ids: NDArray[np.int32]
    """Token ids, the marks around them, (T,); the marks alone where no word is known, and for a sum."""
    embedding: NDArray[np.floating] | None = None
    """Its sentence embedding, (D,), of any length but 0; None where no word is known, or the terms of a sum cancel."""
    tokens: tuple[Token, ...] = ()
    """Its tokens, without the marks; none for a sum, whose terms have their own, and for an uncompleted caption."""
    marks_importance: float = 0.0
    """Share of the features whose maximum falls on the two sentence marks, 0..1."""
    terms: tuple[Term, ...] = ()
    """The terms of a sum; none for other queries."""

    @property
    def known(self) -> int:
        """The number of its tokens that have a word vector."""
        return len(self.ids) - 2

    @property
    def is_unfinished(self) -> bool:
        """Whether it is one word that may still be typed and has no word vector yet, or nothing at all."""
        return not self.terms and not self.known and all(token.unfinished for token in self.tokens)
