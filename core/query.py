"""Query: values that describe a question: tokens, the terms of a sum, and a query that every method can rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# English function words: every vector file has them, but they do not describe an image.
_FUNCTION_WORDS = frozenset(
    """
    's 't 'm 're 've 'll 'd a about above across after again against all along also am among an and another any anybody
    anyone anything are aren around as at away be because been before behind being below beneath beside besides between
    both but by can could did didn do does doesn doing don down during each either else every everybody everyone
    everything few for from further get gets getting give given go goes going got had has hasn have haven having he her
    here hers herself him himself his how i if in inside instead into is isn it its itself just let like ll many may me
    might mine more most much must my myself n't near neither next no nobody none nor not nothing of off on once one
    only onto or other others our ours out outside over own past per quite rather re same she should since so some
    somebody someone something still such than that the their theirs them themselves then there these they thing things
    this those though through thus to together too toward towards under until up upon us ve very was wasn we were weren
    what when where whether which while who whom whose why will with within without won would yet you your yours
    yourself yourselves ain ca mustn mightn needn oughtn sha shan wo d m s t
    """.split()
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a query."""

    text: str
    """Text as the tokenizer returned it."""
    known: bool
    """Whether it has a word vector; unknown tokens are dropped before encoding."""
    importance: float
    """Share of the features whose maximum falls on it, 0..1; 0 when unknown."""
    unfinished: bool = False
    """True for the last word while the user may still be typing it; verdicts then do not count it as unknown."""

    @property
    def is_word(self) -> bool:
        """Whether it contains a letter or digit."""
        return any(char.isalnum() for char in self.text)

    @property
    def is_content(self) -> bool:
        """Whether it is a word other than a function word."""
        return self.is_word and self.text.lower() not in _FUNCTION_WORDS

    @property
    def counts(self) -> bool:
        """Whether it is a known content word, which query lengths count."""
        return self.known and self.is_content


def content_words(tokens: Iterable[Token], *, without_vector: bool = False) -> list[str]:
    """Return the different content words that have a vector, or all of them, in lower case and in order."""
    return list(
        dict.fromkeys(each.text.lower() for each in tokens if each.counts or (without_vector and each.is_content))
    )


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a sum."""

    weight: float
    """Factor of its unit embedding."""
    text: str
    tokens: tuple[Token, ...]
    """Tokens, without the sentence marks."""
    marks_importance: float
    """Share of the features whose maximum falls on the two sentence marks, 0..1."""

    @property
    def is_unknown(self) -> bool:
        """Whether it has neither a known nor an unfinished word, so that it cannot be added."""
        return not any(token.known or token.unfinished for token in self.tokens)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Query:
    """A query that every method can rank. It is made once and kept in its answer."""

    text: str
    """Text as typed, or the caption."""
    literal: str = ""
    """Text without the quotes that prevent its reading as a sum or a feature; empty for these."""
    row: int | None = None
    """Row of the caption that equals the query, which then ranks first; None when there is none."""
    ids: NDArray[np.int32]
    """Token ids between the sentence marks, (T,); the marks alone where no word is known, for a sum and a feature."""
    embedding: NDArray[np.floating] | None = None
    """Embedding, (D,), not normalized, never 0; None where no word is known or the terms of a sum cancel out."""
    tokens: tuple[Token, ...] = ()
    """Tokens, without the marks; empty for a sum, and for a caption until `Queries.complete` adds them."""
    marks_importance: float = 0.0
    """Share of the features whose maximum falls on the two sentence marks, 0..1."""
    terms: tuple[Term, ...] = ()
    """Terms of a sum; empty for other queries."""
    feature: int | None = None
    """Number of the feature whose axis the query is, from 0; None for other queries."""

    @property
    def is_text(self) -> bool:
        """Whether it is a text, which every method can rank, and not a sum or a feature of embeddings."""
        return not self.terms and self.feature is None

    @property
    def known(self) -> int:
        """Number of tokens that have a word vector."""
        return len(self.ids) - 2

    @property
    def subject(self) -> tuple[Token, ...]:
        """Tokens that the hits should be about: all, or for a sum those of its positive terms that no negative has."""
        if not self.terms:
            return self.tokens
        negative = {token.text.lower() for term in self.terms if term.weight < 0 for token in term.tokens}
        positive = [token for term in self.terms if term.weight > 0 for token in term.tokens]
        return tuple(token for token in positive if token.text.lower() not in negative)

    def count_content_words(self, *, without_vector: bool = False) -> int:
        """Count the different content words of its subject that have a vector, or all of them."""
        return len(content_words(self.subject, without_vector=without_vector))

    @property
    def is_unfinished(self) -> bool:
        """Whether it is empty, or one unknown word that the user may still be typing."""
        return not self.terms and not self.known and all(token.unfinished for token in self.tokens)
