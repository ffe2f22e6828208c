"""Verdict: how far the hits of a query can be trusted and why, by calibration or by rules of thumb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from core.query import Query, Token
from core.ranking.methods import BY_WORDS, Method
from core.ranking.ranking import FIRST, Found
from core.trust.calibration import Calibration
from core.trust.confirmation import Confirmed, confirm
from core.trust.signals import HITS, SignalMeter, Signals

Level = Literal["reliable", "doubtful", "unreliable"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""Levels, best first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the hits of a query can be trusted."""

    level: Level | None
    """None for methods other than `infersent`, which get no level."""
    reasons: tuple[str, ...]
    """Reasons, a phrase each: first the length of the query, then other findings."""
    basis: str
    """What the verdict is based on, a phrase."""
    probability: float | None = None
    """Predicted probability of success; None without a calibration or level."""
    too_short: bool | None = None
    """Whether the query has too few content words; None without a calibration or level."""
    in_corpus: bool | None = None
    """Whether the query is about what the corpus is about, by the distance of hit 1; None when that is not known."""
    confirmed: int | None = None
    """How many of the first ten hits are confirmed, see `Confirmed`; None when that was not counted."""
    attainable: int | None = None
    """How many captions of the corpus would be confirmed; None likewise."""
    better: Method | None = None
    """Method that succeeds clearly more often at this length; None when there is none."""


class Judge:
    """Judges answers by a calibration of their encoder and corpus; `meter` measures the signals of a query."""

    def __init__(self, calibration: Calibration, meter: SignalMeter) -> None:
        self.calibration, self._meter = calibration, meter

    def judge(self, query: Query, found: Found, method: Method) -> Verdict:
        """Judge what `method` found for a complete query that is not a sum. Its own caption does not count as a hit."""
        confirmed = confirm(
            *(self._meter.bm25.stems(query.literal), found.leading.rows),
            bm25=self._meter.bm25,
            images=self._meter.images,
            leave_out=-1 if query.row is None else query.row,
        )
        verdict = self._judge(query, found, method, confirmed)
        if confirmed is None:
            return verdict
        return replace(verdict, confirmed=confirmed.hits, attainable=confirmed.attainable)

    def _judge(self, query: Query, found: Found, method: Method, confirmed: Confirmed | None) -> Verdict:
        if method != "infersent":
            verdict = describe_method(query, method, self.calibration)
            if confirmed is None:
                return verdict
            by_images = self._meter.images is not None
            says = "are confirmed by other captions of their image" if by_images else "have all of the query's words"
            seen = f"{confirmed.hits} of {confirmed.of} hits {says}"
            return replace(verdict, reasons=(seen, *verdict.reasons))
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
        in_corpus = query.row is not None or self.calibration.in_corpus(signals.nearest, query.known)
        if in_corpus is False:
            return _judge_foreign(query, signals, self.calibration)
        hubs = sum(row in self.calibration.hub_set for row in hits[:FIRST].tolist())
        marks = query.marks_importance
        verdict = judge(query.tokens, signals, self.calibration, marks_importance=marks, hubs=hubs)
        return replace(verdict, in_corpus=in_corpus)


def _judge_foreign(query: Query, signals: Signals, calibration: Calibration) -> Verdict:
    """Judge a query that has nothing to do with the corpus; a probability would contradict that."""
    reason = f"nearest {signals.nearest:.2f}, farther than for 99% of captions: nothing here is about this"
    reasons = [reason, *_dropped(query.tokens)]
    too_short = calibration.is_too_short(query.count_content_words())
    basis = _measured_on(calibration)
    return Verdict("unreliable", tuple(reasons), basis, too_short=too_short, in_corpus=False)


def describe_method(query: Query, method: Method, calibration: Calibration | None) -> Verdict:
    """Report how often a method succeeds at the query's length; only `infersent` has levels and probabilities."""
    if calibration is None:
        return Verdict(None, (f"how far {method} can be trusted is not measured yet",), "no calibration")
    content = query.count_content_words(without_vector=method in BY_WORDS)
    words, shares = _count(content, "content word"), [calibration.recall(content, method), calibration.recall(content)]
    found = f"find {calibration.measure} {shares[0]:.0%} of the time, with infersent {shares[1]:.0%}"
    return Verdict(None, (f"{words}: with {method} such queries {found}",), _measured_on(calibration))


def describe_nothing(query: Query, method: Method) -> Verdict:
    """Explain why a method finds nothing for a query."""
    if query.embedding is None and method not in BY_WORDS:
        return NOTHING_KNOWN if method == "infersent" else replace(NOTHING_KNOWN, level=None)
    return Verdict(None, (f"by {method}, no caption has anything in common with the query",), "nothing in common")


def judge_sum(query: Query) -> Verdict:
    """Judge a sum by rules of thumb: its verdict is that of its worst term, which is named."""
    if unknown := [term.text for term in query.terms if term.is_unknown]:
        named = " and ".join(f"“{text}”" for text in unknown)
        return Verdict("unreliable", (f"no word of {named} is known, so there is nothing to add",), "no known word")
    if query.embedding is None:
        reason = "the terms cancel out: their sum is nearly zero and has no direction"
        return Verdict("unreliable", (reason,), "no direction")
    verdicts = [(term.text, judge_by_rules(term.tokens)) for term in query.terms]
    text, worst = max(verdicts, key=lambda each: _severity(each[1]))
    return replace(worst, reasons=(f"weakest term: “{text}”", *worst.reasons))


def judge_by_rules(tokens: Sequence[Token]) -> Verdict:
    """Judge a query by rules of thumb: its number of content words and its share of unknown words.

    At most one known content word is unreliable. Two or three, or a third of the words unknown, are doubtful.
    """
    words = [token for token in tokens if token.is_word and (token.known or not token.unfinished)]
    unknown = [token.text for token in words if not token.known]
    content = sum(token.counts for token in words)
    level: Level = "unreliable" if content <= 1 else "doubtful" if content <= 3 else "reliable"
    reasons = [f"{_count(content, 'known content word')}: {_LENGTH_REASONS[level]}"]
    if unknown:
        share = len(unknown) / len(words)
        reasons.append(f"{len(unknown)} of {_count(len(words), 'word')} unknown and dropped: {_join(unknown)}")
        if share >= 1 / 3 and level == "reliable":
            level = "doubtful"
    return Verdict(level, tuple(reasons), "rule of thumb, not measured")


def judge(
    tokens: Sequence[Token], signals: Signals, calibration: Calibration, *, marks_importance: float, hubs: int
) -> Verdict:
    """Judge a query by the calibration of this encoder and corpus.

    The level is the worse of two. One depends on the length: a query is too short when its length succeeds less than
    half as often as whole captions. The other compares the probability of success that the signals predict with the
    calibration's threshold. Without a threshold the rules of thumb decide. `marks_importance` is the share of the
    maxima on the two sentence marks, 0..1; `hubs` counts the hubs among the first ten hits.
    """
    if calibration.learned_too_little:
        rules = judge_by_rules(tokens)
        reason = "too few captions succeeded in the calibration to find a threshold"
        return replace(rules, reasons=(*rules.reasons, reason))
    content = sum(token.counts for token in tokens)
    probability = float(calibration.predictor.probability(signals.array()))
    recall, whole = calibration.recall(content), calibration.whole_recall
    too_short = calibration.is_too_short(content)
    by_length: Level = "reliable"
    if too_short:
        far_too_short = calibration.least_content is None or not content or recall < whole / 4
        by_length = "unreliable" if far_too_short else "doubtful"
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
    reasons = [length, *_dropped(tokens)]
    reasons += _good_signs(signals) if by_signals == "reliable" else _bad_signs(signals, calibration)
    share = calibration.share_below("marks", marks_importance)
    if share > _UNUSUAL:
        reasons.append(
            f"the sentence marks won {marks_importance:.0%} of the features, more than in {_percent(share)} of whole "
            "captions"
        )
    if hubs >= 2:
        reasons.append(f"{hubs} of the first {FIRST} hits are hubs, which many unrelated queries find")
    best = calibration.best_method(content)
    better = best if best != "infersent" and level != "reliable" else None
    return Verdict(level, tuple(reasons), _measured_on(calibration), probability, too_short, better=better)


_UNUSUAL = 0.95  # a share of whole captions; a value beyond it is named as a reason


def _good_signs(signals: Signals) -> list[str]:
    if signals.same_image >= 2:
        return [f"{signals.same_image:.0f} of the first {HITS} hits describe the same image as a nearer hit"]
    return []


def _bad_signs(signals: Signals, calibration: Calibration) -> list[str]:
    signs = []
    farther = calibration.share_below("nearest", signals.nearest)
    if farther > _UNUSUAL:
        signs.append(f"hit 1 is farther away than for {_percent(farther)} of whole captions")
    matches = round(np.expm1(signals.matches))
    if signals.content > 0 and matches == 0:
        signs.append("no caption has all of the query's words")
    elif signals.content > 0 and matches > 10 * FIRST:
        signs.append(f"too general: {matches:,} captions have all of the query's words")
    if signals.image_lead and signals.same_image == 0:
        signs.append(f"the first {HITS} hits describe {HITS} different images")
    nearer = 1 - calibration.share_below("from_marks", signals.from_marks)
    if nearer > _UNUSUAL:
        signs.append(f"nearer to the embedding of an empty text than {_percent(nearer)} of whole captions")
    return signs or ["queries with signals like these often failed in the calibration"]


def _dropped(tokens: Sequence[Token]) -> list[str]:
    """Name the unknown words, if there are any."""
    unknown = [token.text for token in tokens if token.is_word and not token.known and not token.unfinished]
    return [f"unknown and dropped: {_join(unknown)}"] if unknown else []


def _join(words: Sequence[str]) -> str:
    """Join the first five words."""
    return ", ".join(words[:5]) + (" ..." if len(words) > 5 else "")


def _percent(share: float) -> str:
    """Format a share below 1 so that it is never rounded to 100%."""
    return f"{min(share, 0.999):.1%}" if share > 0.99 else f"{share:.0%}"


def _severity(verdict: Verdict) -> int:
    """Return the position of a verdict's level in `LEVELS`."""
    return 0 if verdict.level is None else LEVELS.index(verdict.level)


def _measured_on(calibration: Calibration) -> str:
    return f"measured on {calibration.captions:,} captions"


NOTHING_KNOWN = Verdict(
    "unreliable",
    ("no word of the query is known, so there is nothing to compare: every such query has the same embedding",),
    "no known word",
)
"""Verdict on a query in which no word has a vector."""

_LENGTH_REASONS: dict[Level, str] = {
    "unreliable": "too little for a sentence encoder, which was trained on whole sentences",
    "doubtful": "shorter than the sentences the encoder was trained on",
    "reliable": "long enough to read as a sentence",
}


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
