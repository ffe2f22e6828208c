"""Verdict: how far the hits of a query can be trusted and why, by calibration or by rules of thumb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.query import Query, content_words
from core.ranking.methods import BY_WORDS, Method
from core.ranking.ranking import FIRST, Found, Ranking, direction
from core.trust.calibration import ABOUT_IT, SELDOM, Calibration, Level, level_of
from core.trust.confirmation import Confirmed, confirm, content_stems, evidence
from core.trust.domain import commonness_of
from core.trust.reasons import Reasons, count_of, name_unknown, of_100, sign_of, unknown_words
from core.trust.signals import HITS, NOTHING, SignalMeter, Signals, without


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the hits of a query can be trusted."""

    level: Level | None
    """None for methods other than `infersent`, which get no level."""
    reasons: tuple[str, ...]
    """Reasons, a phrase each, most important first: `+ ` speaks for the hits, `− ` against them, `· ` for neither."""
    advice: str | None = None
    """What would help; None when nothing is known to help."""
    probability: float | None = None
    """For a short query or a sum, predicted probability that at least five of the first ten hits are confirmed; for
    others, that the query succeeds. None when it was not predicted."""
    whole: float | None = None
    """How often whole captions succeed, 0..1; None where no calibration judged."""
    in_corpus: bool | None = None
    """Whether the query is about what the corpus is about, see `Domain`; None when that is not known."""
    confirmed: int | None = None
    """How many of the first ten hits are confirmed, see `Confirmed`; None when that was not counted."""
    attainable: int | None = None
    """How many captions of the corpus would be confirmed; None likewise."""
    long_enough: bool | None = None
    """Whether the query has enough content words to single out an image; None where no calibration judged."""


class Judge:
    """Judges answers by a calibration of their encoder and corpus.

    Args:
        calibration: What was measured.
        meter: Measures the signals of a query.
        sentences: The token ids of the captions.
        name_of: Function from a method to the name that people read.
    """

    def __init__(
        self,
        calibration: Calibration,
        meter: SignalMeter,
        sentences: Sentences,
        name_of: Callable[[Method], str] = str,
    ) -> None:
        self.calibration, self._meter, self._sentences, self._name_of = calibration, meter, sentences, name_of

    def judge(self, query: Query, found: Found, method: Method) -> Verdict:
        """Judge what `method` found for a complete query. Its own caption and copies of it do not count as hits."""
        hits, copies = first_hits(query, found, self._sentences)  # (up to HITS), (C,)
        bm25, images = self._meter.bm25, self._meter.images
        words = [token for token in query.subject if token.known or not token.unfinished]
        stems = content_stems(bm25.stems(" ".join(token.text for token in words)), words, bm25)
        confirmed = confirm(stems, hits.rows, bm25=bm25, images=images, leave_out=copies)
        siblings = self._count_siblings(query, hits, copies)
        if method != "infersent":
            seen = []
            if confirmed is not None and siblings is None:  # what is found of a caption's image says more
                seen = [self._say.seen(confirmed, confirmed.hits >= FIRST / 2)]
            told = self._say.describe(query, method, self._name_of(method))
            verdict = _with_siblings(Verdict(None, (*seen, told)), siblings)
        elif not len(hits):
            verdict = Verdict("doubtful", ("− no hit but copies of the query",))
        else:
            verdict = _with_siblings(self._judge(query, hits, confirmed, copies), siblings)
        if confirmed is None:
            return verdict
        return replace(verdict, confirmed=confirmed.hits, attainable=confirmed.attainable)

    @property
    def _say(self) -> Reasons:
        return Reasons(self.calibration, self._meter)

    def _judge(self, query: Query, hits: Ranking, confirmed: Confirmed | None, copies: NDArray[np.int64]) -> Verdict:
        """Judge by the first rule that fits: about something else, too short for one image, or long enough."""
        calibration, content = self.calibration, query.count_content_words()
        whole, short = calibration.whole_recall, calibration.is_short(content)
        in_corpus, foreign = self._is_in_corpus(query, float(hits.distances[0]))
        verdict = Verdict("unreliable", (), whole=whole, in_corpus=in_corpus, long_enough=not short)
        if in_corpus is False:
            return replace(verdict, reasons=(f"− not in this corpus: {foreign}", *name_unknown(query)))
        if not content:
            named = any(token.counts for term in query.terms if term.weight > 0 for token in term.tokens)
            reason = "its negative terms take away all that its positive terms name" if named else _NO_CONTENT
            return replace(
                verdict, reasons=(f"− {reason}", *name_unknown(query)), advice="name what should be in the image"
            )
        if short or query.terms:
            judged = self._judge_short(query, hits, confirmed, verdict)
        else:
            judged = self._judge_long(query, hits, confirmed, copies, verdict)
        if in_corpus is None and judged.level == "doubtful" and (confirmed is None or confirmed.share < ABOUT_IT):
            unmeasured = "· not measured whether it is about these captions"
            judged = replace(judged, reasons=(unmeasured, *judged.reasons))
        return _lowered_by_unknown(judged, query)

    def _is_in_corpus(self, query: Query, nearest: float) -> tuple[bool | None, str]:
        """Tell whether a query is about what the corpus is about, and why not."""
        if query.row is not None:
            return True, ""
        domain = self.calibration.domain(None if query.terms else query.known)
        if domain is None:
            return None, ""
        if domain.contains(nearest, commonness_of(query.ids[1:-1], self._sentences)):
            return True, ""
        if domain.by_words and nearest <= domain.farthest:
            return False, f"hit 1 at {nearest:.2f}, and captions seldom use such words"
        queries = "such sums" if query.terms else "captions"
        return False, f"hit 1 at {nearest:.2f}; 99% of {queries} have a nearer one"

    def _judge_short(self, query: Query, hits: Ranking, confirmed: Confirmed | None, verdict: Verdict) -> Verdict:
        """Judge a query too short to single out an image, or a sum, by what is seen of its hits."""
        calibration, content = self.calibration, query.count_content_words()
        probability = self._probability_of_five(query, hits, confirmed)
        level = self._level(verdict, confirmed, probability, short=True)
        reasons = self._say.evidence_of(hits, confirmed, level, probability)
        advice = None
        if not query.terms and calibration.least_content is not None:
            recall = of_100(calibration.recall(content))
            reasons.append(f"− too short for one scene: {recall} {self._say.find_or_whole('it')}")
            found = confirmed is not None and confirmed.attainable > 0  # else more words find no more either
            advice = self._say.longer(content) if found and level != "reliable" else None
        reasons += [*name_unknown(query), *self._say.nothing_reliable()]
        return replace(verdict, level=level, probability=probability, reasons=tuple(reasons), advice=advice)

    def _judge_long(
        self,
        query: Query,
        hits: Ranking,
        confirmed: Confirmed | None,
        copies: NDArray[np.int64],
        verdict: Verdict,
    ) -> Verdict:
        """Judge a query that is long enough by the probability that it succeeds, predicted from its signals."""
        signals = self._measure(query, hits, confirmed, copies)
        probability = float(self.calibration.predictor.probability(signals.array()))
        level = self._level(verdict, confirmed, probability, short=False)
        reasons = self._say.chance_of(
            query, hits, confirmed, signals=signals, probability=probability, level=level, leave_out=copies
        )
        advice = self._say.better_method(query.count_content_words()) if level != "reliable" else None
        return replace(verdict, level=level, probability=probability, reasons=tuple(reasons), advice=advice)

    def _measure(self, query: Query, hits: Ranking, confirmed: Confirmed | None, copies: NDArray[np.int64]) -> Signals:
        """Measure the signals of a query. They are learned from queries without unknown words, which do not count."""
        assert query.embedding is not None
        bm25, known = self._meter.bm25, [token for token in query.tokens if token.known]
        stems = bm25.stems(" ".join(token.text for token in known))
        if unknown_words(query):
            needed = content_stems(stems, known, bm25)
            confirmed = confirm(needed, hits.rows, bm25=bm25, images=self._meter.images, leave_out=copies)
        return self._meter.measure(
            direction(query.embedding),
            known=query.known,
            stems=stems,
            hits=hits.rows,
            cosines=1 - hits.distances,
            attainable=0 if confirmed is None else confirmed.attainable,
            leave_out=copies,
        )

    def _level(self, verdict: Verdict, confirmed: Confirmed | None, probability: float | None, *, short: bool) -> Level:
        calibration = self.calibration
        return level_of(
            short=short,
            probability=probability,
            confirmed=confirmed,
            whole=0.0 if calibration.least_content is None else calibration.whole_recall,
            by_images=calibration.by_images,
            domain_known=verdict.in_corpus is not None,
        )

    def _probability_of_five(self, query: Query, hits: Ranking, confirmed: Confirmed | None) -> float | None:
        """Predict the probability that at least five of the first ten hits are confirmed."""
        predictor = self.calibration.short_predictor
        if confirmed is None or predictor is None:
            return None
        longest = (self.calibration.least_content or np.inf) - 1  # of the queries that it was learned from
        words = int(min(query.count_content_words(), longest))
        return float(predictor.probability(evidence(confirmed, float(hits.distances[:FIRST].mean()), words)))

    def _count_siblings(self, query: Query, hits: Ranking, copies: NDArray[np.int64]) -> tuple[int, int] | None:
        """Count the other captions of a caption's image among the first ten hits, and all of them.

        Returns:
            None for other queries and where the image has no other caption.
        """
        images = self._meter.images
        if query.row is None or images is None:
            return None
        others = without(images.captions(int(images.of[query.row])), copies)  # (s,)
        return (int(np.isin(others, hits.rows[:FIRST]).sum()), len(others)) if len(others) else None


def first_hits(query: Query, found: Found, sentences: Sentences) -> tuple[Ranking, NDArray[np.int64]]:
    """Return the first hits, at most `HITS`, without the caption that a query is and the copies of it; and these, (C,).

    Captions without a known word are no copies of each other.
    """
    copies = NOTHING  # (C,)
    if query.row is not None:
        copies = sentences.find(query.ids) if query.known else np.array([query.row])
    ranking = found.page(0, HITS + len(copies))
    others = np.flatnonzero(~np.isin(ranking.rows, copies)).astype(np.int32)[:HITS]
    return ranking.at(others), copies


def _lowered_by_unknown(verdict: Verdict, query: Query) -> Verdict:
    """Lower the level of a query with unknown content words: from a third never reliable, more than half unreliable."""
    known = query.count_content_words()
    unknown = len({token.text.lower() for token in unknown_words(query) if token.is_content})
    if unknown > known:
        most = "− most of its words are unknown"
        return replace(verdict, level="unreliable", reasons=(most, *verdict.reasons), advice=None)
    if verdict.level == "reliable" and unknown >= known / 2:
        return replace(verdict, level="doubtful")
    return verdict


def _with_siblings(verdict: Verdict, siblings: tuple[int, int] | None) -> Verdict:
    """Add what is seen of a caption's image: finding none of it is never reliable, and finding it never unreliable."""
    if siblings is None:
        return verdict
    found, of = siblings
    level = verdict.level
    if level == ("unreliable" if found else "reliable"):
        level = "doubtful"
    reason = f"{sign_of(found > 0)} {found} of its image's {count_of(of, 'other caption')} in the first ten"
    return replace(verdict, level=level, reasons=(reason, *verdict.reasons))


def describe_unmeasured(method: str, *, why: str = "") -> Verdict:
    """Say of a method other than `infersent` that it is not measured; it has no level either.

    Args:
        method: The name of the method that people read.
        why: Why it cannot be measured: `on so few captions`; empty when it can.
    """
    measured = f"cannot be measured {why}" if why else "is not measured yet"
    return Verdict(None, (f"· how far {method} can be trusted {measured}",))


def describe_nothing(query: Query, method: Method, lacks: str = "") -> Verdict:
    """Explain why a method finds nothing for a query; `lacks` says what the method needs and has not."""
    if lacks:
        return Verdict(None, (f"− {lacks}",))
    if query.embedding is None and method not in BY_WORDS:
        return NOTHING_KNOWN if method == "infersent" else replace(NOTHING_KNOWN, level=None)
    return Verdict(None, (f"− by {method}, no caption has anything in common with the query",))


def describe_feature(query: Query, dim: int) -> Verdict:
    """Explain why a feature has no level, or that there is none of this number among `dim`."""
    if query.embedding is None:
        return Verdict(None, (f"− there is no {query.text}: features go from #0 to #{dim - 1}",))
    return Verdict(None, ("· a feature is no sentence: its hits are those that have most of it",))


def describe_no_sum(query: Query) -> Verdict:
    """Explain why a sum has no embedding."""
    if unknown := [term.text for term in query.terms if term.is_unknown]:
        named = " and ".join(f"“{text}”" for text in unknown)
        return Verdict("unreliable", (f"− no word of {named} is known, so there is nothing to add",))
    return Verdict("unreliable", ("− the terms cancel out: their sum is nearly zero and has no direction",))


def judge_by_rules(query: Query, hits: Sequence[frozenset[str]], *, why: str = "") -> Verdict:
    """Judge a query by rules of thumb: its known content words, what the hits have of them, and its unknown words.

    Unreliable without such a word, where the hits have none of these words, or fewer than half of them one word; else
    doubtful with one to three, or where the hits seldom have them, or where there are no hits but copies of the query.

    Args:
        query: The query.
        hits: Words, in lower case, of each of its first ten hits, without copies of it.
        why: Why there can be no calibration: `on so few captions`; empty when there can.
    """
    words = set(content_words(query.subject))
    content = len(words)
    share = float(np.mean([len(words & hit) / content for hit in hits])) if words and hits else 0.0
    has = f"the hits have {share:.0%} of its words" if hits else "no hit has another text than the query"
    length = f"only {count_of(content, 'known content word')}" if content else _NO_CONTENT
    level: Level = "doubtful"
    if content and not hits:
        reasons = [f"− {has}"]
    elif not content or share < _NONE or (content == 1 and share < ABOUT_IT):
        level, reasons = "unreliable", [f"− {has}" if content else f"− {length}"]
    elif content <= 3:
        reasons = [f"− {length}", f"{sign_of(share >= ABOUT_IT)} {has}"]
    else:
        level = "reliable" if share >= SELDOM else "doubtful"
        reasons = [f"{sign_of(share >= SELDOM)} {has}"]
    rule = f"· {f'cannot be measured {why}' if why else 'not measured'}: by a rule of thumb"
    return _lowered_by_unknown(Verdict(level, (rule, *reasons, *name_unknown(query))), query)


_NO_CONTENT = "no known content word: function words fit any caption"
_NONE = 0.05  # share of the words that the hits have at most where they have nothing of a query
NOTHING_KNOWN = Verdict(
    "unreliable",
    ("− no word of the query is known, so there is nothing to compare: every such query has the same embedding",),
)
"""Verdict on a query in which no word has a vector."""
