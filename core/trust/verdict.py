"""Verdict: how far the hits of a query can be trusted, and why; and Judge, which gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from core.query import Query, Token
from core.ranking.methods import Method
from core.ranking.ranking import FIRST, Found
from core.trust.calibration import Calibration
from core.trust.signals import HITS, SignalMeter, Signals

Level = Literal["reliable", "doubtful", "unreliable"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The best first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a query's hits can be trusted."""

    level: Level | None
    """`reliable`, `doubtful` or `unreliable`; None for other methods than `infersent`, which are not judged."""
    reasons: tuple[str, ...]
    """Why, a phrase each; first what the length says, then what else there is to say of this query."""
    basis: str
    """What it rests on."""
    probability: float | None = None
    """The predicted probability of success; None when nothing was measured, and without a level."""
    too_short: bool | None = None
    """Whether queries of this length are too short, whatever they say; None likewise."""
    better: Method | None = None
    """A method that does better than the encoder on queries of this length; None when none does."""


class Judge:
    """Judges answers by what was measured on their encoder and corpus.

    Args:
        calibration: What was measured.
        meter: Measures the signals of a query.
    """

    def __init__(self, calibration: Calibration, meter: SignalMeter) -> None:
        self._calibration = calibration
        self._meter = meter

    def judge(self, query: Query, found: Found, method: Method) -> Verdict:
        """Judge an answer.

        Args:
            query: Not a sum; complete.
            found: What was found for it. The verdict looks at the first `HITS` hits beside the query's own caption.
            method: How it was found.
        """
        if method != "infersent":
            return describe_method(query, method, self._calibration)
        others = found.leading.rows != query.row  # (K,)
        hits = found.leading.rows[others][:HITS]
        if query.embedding is None or not len(hits):
            return judge_by_rules(query.tokens)
        signals = self._meter.measure(
            (query.embedding / np.linalg.norm(query.embedding.astype(np.float64))).astype(np.float32),
            known=query.known,
            stems=self._meter.bm25.stems(" ".join(token.text for token in query.tokens if token.known)),
            hits=hits,
            cosines=1 - found.leading.distances[others][:HITS],
            leave_out=-1 if query.row is None else query.row,
        )
        hubs = sum(row in self._calibration.hub_set for row in hits[:FIRST].tolist())
        marks = query.marks_importance
        return judge(query.tokens, signals, self._calibration, marks_importance=marks, hubs=hubs)


def describe_method(query: Query, method: Method, calibration: Calibration | None) -> Verdict:
    """Say what was measured of a method at a query's length; no level and no probability are known for its lists."""
    if calibration is None:
        return Verdict(None, (f"how far {method} can be trusted is not measured yet",), "no calibration")
    by_words = method in ("bm25", "fused")  # these need no word vectors
    content = sum(token.is_content if by_words else token.counts for token in query.tokens)
    words, shares = _count(content, "content word"), [calibration.recall(content, method), calibration.recall(content)]
    sentence = (
        f"{words}: with {method} such queries find {calibration.measure} {shares[0]:.0%} of the time, with infersent "
        f"{shares[1]:.0%}"
    )
    return Verdict(None, (sentence,), _measured_on(calibration))


def describe_nothing(query: Query, method: Method) -> Verdict:
    """Say why a method finds nothing for a query."""
    if query.embedding is None and method not in ("bm25", "fused"):
        return NOTHING_KNOWN
    return Verdict(None, (f"by {method}, no caption has anything in common with the query",), "nothing in common")


def judge_sum(query: Query) -> Verdict:
    """Judge a sum by rules of thumb: as its weakest term, which is named."""
    if unknown := [term.text for term in query.terms if term.is_unknown]:
        named = " and ".join(f"“{text}”" for text in unknown)
        return Verdict("unreliable", (f"no word of {named} is known: there is nothing to add",), "no known word")
    if query.embedding is None:
        reason = "the terms cancel out: what is left of their sum is too short to have a direction"
        return Verdict("unreliable", (reason,), "sum of nothing")
    verdicts = [(term.text, judge_by_rules(term.tokens)) for term in query.terms]
    text, weakest = max(verdicts, key=lambda each: _severity(each[1]))
    return replace(weakest, reasons=(f"weakest term: “{text}”", *weakest.reasons))


def judge_by_rules(tokens: Sequence[Token]) -> Verdict:
    """Judge a query by rules of thumb: how many content words it has, and how many of its words are unknown.

    No or one known content word: unreliable. Two or three, or a third of the words unknown: doubtful. Else reliable.
    """
    words = [token for token in tokens if token.is_word and (token.known or not token.unfinished)]
    unknown = [token.text for token in words if not token.known]
    content = sum(token.counts for token in words)
    level: Level = "unreliable" if content <= 1 else "doubtful" if content <= 3 else "reliable"
    reasons = [f"{_count(content, 'known content word')}: {_LENGTH_REASONS[level]}"]
    if unknown:
        share = len(unknown) / len(words)
        reasons.append(f"{len(unknown)} of {_count(len(words), 'word')} unknown and dropped: {_named(unknown)}")
        if share >= 1 / 3 and level == "reliable":
            level = "doubtful"
    return Verdict(level, tuple(reasons), "rule of thumb, not measured")


def judge(
    tokens: Sequence[Token], signals: Signals, calibration: Calibration, *, marks_importance: float, hubs: int
) -> Verdict:
    """Judge a query by what was measured on this encoder and these captions.

    Its length says one thing: too short is what succeeds less than half as often as whole captions do. Its signals say
    another: the predicted probability of success, beside the threshold that the calibration found. The level is the
    worse of the two. Where the calibration has no threshold, the rules of thumb decide.

    Args:
        tokens: The query's.
        signals: The query's.
        calibration: What was measured.
        marks_importance: Share of the maxima that the two sentence marks won.
        hubs: How many of the first ten hits are hubs.
    """
    if calibration.learned_too_little:
        rules = judge_by_rules(tokens)
        reason = "too few captions succeeded in the calibration to learn what success looks like"
        return replace(rules, reasons=(*rules.reasons, reason))
    content = sum(token.counts for token in tokens)
    probability = float(calibration.predictor.probability(signals.array()))
    recall, whole = calibration.recall(content), calibration.whole_recall
    too_short = calibration.is_too_short(content)
    by_length: Level = "reliable"
    if too_short:
        hopeless = calibration.least_content is None or not content or recall < whole / 4
        by_length = "unreliable" if hopeless else "doubtful"
    by_signals: Level = "unreliable"
    if probability >= calibration.reliable_from / 2:
        by_signals = "reliable" if probability >= calibration.reliable_from else "doubtful"
    level = max(by_length, by_signals, key=LEVELS.index)
    words = _count(content, "known content word")
    if calibration.least_content is None:
        length = f"{words}; not even whole captions find {calibration.measure} more often than chance here"
    elif not content:
        length = f"{words}, too short: function words fit any caption"
    else:
        found = f"find {calibration.measure} {recall:.0%} of the time, whole captions {whole:.0%}"
        length = f"{words}{', too short' if too_short else ''}: such queries {found}"
    reasons = [length]
    if unknown := [token.text for token in tokens if token.is_word and not token.known and not token.unfinished]:
        reasons.append(f"unknown and dropped: {_named(unknown)}")
    reasons += _good_signs(signals) if by_signals == "reliable" else _bad_signs(signals, calibration)
    share = calibration.share_below("marks", marks_importance)
    if share > _UNUSUAL:
        reasons.append(
            f"the sentence marks won {marks_importance:.0%} of the features, more than in {_most(share)} of whole "
            "captions"
        )
    if hubs >= 2:
        reasons.append(f"{hubs} of the first {FIRST} are hubs, near everything")
    best = calibration.best_method(content)
    better = best if best != "infersent" and level != "reliable" else None
    return Verdict(level, tuple(reasons), _measured_on(calibration), probability, too_short, better)


_UNUSUAL = 0.95  # what fewer than one in twenty whole captions have


def _good_signs(signals: Signals) -> list[str]:
    if signals.same_image >= 2:
        return [f"{signals.same_image:.0f} of the first {HITS} captions are of the same image as a nearer one"]
    return []


def _bad_signs(signals: Signals, calibration: Calibration) -> list[str]:
    signs = []
    farther = calibration.share_below("nearest", signals.nearest)
    if farther > _UNUSUAL:
        signs.append(f"hit 1 is farther away than for {_most(farther)} of whole captions")
    matches = round(np.expm1(signals.matches))
    if signals.content > 0 and matches == 0:
        signs.append("no caption has all of its words")
    elif signals.content > 0 and matches > 10 * FIRST:
        signs.append(f"{matches:,} captions have all of its words; it could mean any")
    if signals.image_lead and signals.same_image == 0:
        signs.append(f"the first {HITS} captions are of {HITS} different images: they do not agree")
    nearer = 1 - calibration.share_below("from_marks", signals.from_marks)
    if nearer > _UNUSUAL:
        signs.append(f"nearer to the embedding of no words than {_most(nearer)} of whole captions")
    return signs or ["queries with signals like these usually failed in the calibration"]


def _named(words: Sequence[str]) -> str:
    """Name words, the first five of many."""
    return ", ".join(words[:5]) + (" ..." if len(words) > 5 else "")


def _most(share: float) -> str:
    """Write a share below 1 so that it never reads as all."""
    return f"{min(share, 0.999):.1%}" if share > 0.99 else f"{share:.0%}"


def _severity(verdict: Verdict) -> int:
    """The place of a verdict's level among `LEVELS`; 0 without one."""
    return 0 if verdict.level is None else LEVELS.index(verdict.level)


def _measured_on(calibration: Calibration) -> str:
    return f"measured on {calibration.captions:,} captions"


NOTHING_KNOWN = Verdict(
    "unreliable",
    ("no word of the query is known, so there is nothing to compare: every such query has the same embedding",),
    "no known word",
)
"""The verdict on a query without a word that has a vector."""

_LENGTH_REASONS: dict[Level, str] = {
    "unreliable": "too little for a sentence encoder, which was trained on whole sentences",
    "doubtful": "shorter than the sentences the encoder was trained on",
    "reliable": "long enough to read as a sentence",
}


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
