"""Verdict: how far the neighbours of a query can be trusted, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["reliable", "doubtful", "unreliable"]

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a query's neighbours can be trusted."""

    level: Level
    """`reliable`, `doubtful` or `unreliable`."""
    reasons: tuple[str, ...]
    """Why, a sentence each."""
    basis: str
    """What the level rests on."""


def judge_by_rules(tokens: Sequence[Token]) -> Verdict:
    """Judge a query by rules of thumb: how many content words it has, and how many of its words are unknown.

    No or one known content word: unreliable. Two or three, or a third of the words unknown: doubtful. Else reliable.
    """
    words = [token for token in tokens if token.is_word and (token.known or not token.unfinished)]
    unknown = [token.text for token in words if not token.known]
    content = sum(token.known and token.is_content for token in words)
    level: Level = "unreliable" if content <= 1 else "doubtful" if content <= 3 else "reliable"
    reasons = [f"{_count(content, 'known content word')}: {_LENGTH_REASONS[level]}"]
    if unknown:
        share = len(unknown) / len(words)
        named = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
        reasons.append(f"{len(unknown)} of {_count(len(words), 'word')} unknown and dropped: {named}")
        if share >= 1 / 3 and level == "reliable":
            level = "doubtful"
    return Verdict(level, tuple(reasons), "rule of thumb, not measured")


NOTHING_KNOWN = Verdict(
    "unreliable",
    ("no word of the query is known, so there is nothing to compare: every such query has the same embedding",),
    "no known word",
)
"""The verdict on a query that has no hits."""

_LENGTH_REASONS: dict[Level, str] = {
    "unreliable": "too little for a sentence encoder, which was trained on whole sentences",
    "doubtful": "shorter than the sentences the encoder was trained on",
    "reliable": "long enough to read as a sentence",
}


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
