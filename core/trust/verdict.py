"""Verdict: how far the hits of a query can be trusted and why, by calibration or by rules of thumb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.query import Query
from core.ranking.methods import BY_WORDS, Method
from core.ranking.ranking import FIRST, Found, Ranking
from core.trust.calibration import Calibration, Level, level_of
from core.trust.confirmation import Confirmed, confirm, content_stems, evidence
from core.trust.domain import commonness_of
from core.trust.reasons import Reasons, count_of, name_unknown, of_100, sign_of, unknown_words
from core.trust.signals import HITS, NOTHING, SignalMeter, without


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
    """How often whole captions succeed, 0..1; None without a calibration or level."""
    in_corpus: bool | None = None
    """Whether the query is about what the corpus is about, see `Domain`; None when that is not known."""
    confirmed: int | None = None
    """How many of the first ten hits are confirmed, see `Confirmed`; None when that was not counted."""
    attainable: int | None = None
    """How many captions of the corpus would be confirmed; None likewise."""
    long_enough: bool | None = None
    """Whether the query has enough content words to single out an image; None without a calibration or level."""


class Judge:
    """Judges answers by a calibration of their encoder and corpus; `meter` measures the signals of a query."""

    def __init__(self, calibration: Calibration, meter: SignalMeter, sentences: Sentences) -> None:
        self.calibration, self._meter, self._sentences = calibration, meter, sentences

    def judge(self, query: Query, found: Found, method: Method) -> Verdict:
        """Judge what `method` found for a complete query. Its own caption and copies of it do not count as hits."""
        copies = copies_of(query, self._sentences)  # (C,)
        hits = without_copies(found.leading, copies)
        if len(hits) < HITS and found.order is not None:  # so many copies that the others come later
            hits = without_copies(found.page(0, HITS + len(copies)), copies)
        bm25, images = self._meter.bm25, self._meter.images
        words = [token for token in query.subject if token.known or not token.unfinished]
        stems = content_stems(bm25.stems(" ".join(token.text for token in words)), words, bm25)
        confirmed = confirm(stems, hits.rows, bm25=bm25, images=images, leave_out=copies)
        siblings = self._count_siblings(query, hits, copies)
        if method != "infersent":
            seen = []
            if confirmed is not None and siblings is None:  # what is found of a caption's image says more
                seen = [self._say.seen(confirmed, confirmed.hits >= FIRST / 2)]
            verdict = _with_siblings(Verdict(None, (*seen, self._say.describe(query, method))), siblings)
        elif query.embedding is None or not len(hits):
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
            nothing = "no known content word: function words fit any caption"
            reason = "its negative terms take away all that its positive terms name" if named else nothing
            return replace(
                verdict, reasons=(f"− {reason}", *name_unknown(query)), advice="name what should be in the image"
            )
        if short or query.terms:
            judged = self._judge_short(query, hits, confirmed, verdict)
        else:
            judged = self._judge_long(query, hits, confirmed, copies, verdict)
        if judged.level == "reliable" and in_corpus is None and not _has_its_words(confirmed):
            unmeasured = "· not measured whether it is about these captions"
            judged = replace(judged, level="doubtful", reasons=(unmeasured, *judged.reasons))
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
        return False, f"hit 1 at {nearest:.2f}, farther than for 99% of {queries}"

    def _judge_short(self, query: Query, hits: Ranking, confirmed: Confirmed | None, verdict: Verdict) -> Verdict:
        """Judge a query too short to single out an image, or a sum, by what is seen of its hits."""
        calibration, content = self.calibration, query.count_content_words()
        probability = self._probability_of_five(query, hits, confirmed)
        attainable = 0 if confirmed is None else confirmed.attainable
        level = level_of(
            short=True,
            probability=probability,
            attainable=attainable,
            whole=0.0 if calibration.least_content is None else calibration.whole_recall,
            by_images=calibration.by_images,
        )
        reasons = self._say.evidence_of(hits, confirmed, level, probability)
        advice = None
        if not query.terms and calibration.least_content is not None:
            recall = of_100(calibration.recall(content))
            reasons.append(f"− too short for one scene: {recall} {self._say.find_or_whole('it')}")
            advice = self._say.longer(content) if level != "reliable" else None
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
        calibration, whole = self.calibration, self.calibration.whole_recall
        assert query.embedding is not None
        known = [token for token in query.tokens if token.known]
        stems = self._meter.bm25.stems(" ".join(token.text for token in known))
        could = confirmed
        if unknown_words(query):  # signals are learned from queries without such words
            needed = content_stems(stems, known, self._meter.bm25)
            could = confirm(needed, hits.rows, bm25=self._meter.bm25, images=self._meter.images, leave_out=copies)
        signals = self._meter.measure(
            (query.embedding / np.linalg.norm(query.embedding.astype(np.float64))).astype(np.float32),
            known=query.known,
            stems=stems,
            hits=hits.rows,
            cosines=1 - hits.distances,
            attainable=0 if could is None else could.attainable,
            leave_out=copies,
        )
        probability = float(calibration.predictor.probability(signals.array()))
        level = level_of(short=False, probability=probability, attainable=0, whole=whole, by_images=True)
        raised = level == "unreliable" and _has_its_words(confirmed)
        level = "doubtful" if raised else level  # if not about its image
        sign = "+" if level == "reliable" else "−"
        found = f"{of_100(probability)} queries with such hits {self._say.find_or_whole()}"
        reasons = [f"{sign} {found}"]
        more = [*name_unknown(query), *self._say.nothing_reliable()]
        if confirmed is not None and (query.row is None or self._meter.images is None):
            if confirmed.hits >= FIRST / 2:  # fewer say little: a long text is seldom repeated
                reasons.append(self._say.seen(confirmed, True))
            elif _has_its_words(confirmed) and level != "reliable":
                reasons.append(f"+ {self._say.share(confirmed)}")
            elif level != "reliable" and not more:
                reasons += self._say.doubts(signals, hits)[:1]
        elif confirmed is not None and raised:  # what is found of the caption's image is told besides
            reasons = [f"+ {self._say.share(confirmed)}"]
        reasons += more
        advice = None
        if level != "reliable":
            advice = self._say.better_method(query.count_content_words())
        return replace(verdict, level=level, probability=probability, reasons=tuple(reasons), advice=advice)

    def _probability_of_five(self, query: Query, hits: Ranking, confirmed: Confirmed | None) -> float | None:
        """Predict the probability that at least five of the first ten hits are confirmed."""
        predictor = self.calibration.short_predictor
        if confirmed is None or predictor is None:
            return None
        seen = evidence(confirmed, float(hits.distances[:FIRST].mean()), query.count_content_words())
        return float(predictor.probability(seen))

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


def copies_of(query: Query, sentences: Sentences) -> NDArray[np.int64]:
    """Return the caption that the query is and its copies, (C,); captions without a known word are no copies."""
    if query.row is None:
        return NOTHING
    return sentences.find(query.ids) if query.known else np.array([query.row])


def without_copies(ranking: Ranking, copies: NDArray[np.int64]) -> Ranking:
    """Return the first hits that are no copies of the query."""
    return ranking.at(np.flatnonzero(~np.isin(ranking.rows, copies)).astype(np.int32)[:HITS])


def _has_its_words(confirmed: Confirmed | None) -> bool:
    """Tell whether the hits have so many of the query's words that they are about it."""
    return confirmed is not None and confirmed.share >= _ABOUT_IT


def _lowered_by_unknown(verdict: Verdict, query: Query) -> Verdict:
    """Lower the level of a query with unknown words: a third of them is never reliable, more than half unreliable."""
    known, unknown = query.count_content_words(), len(unknown_words(query))
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


def describe_unmeasured(method: Method) -> Verdict:
    """Say of a method other than `infersent` that it is not measured; it has no level either."""
    return Verdict(None, (f"· how far {method} can be trusted is not measured yet",))


def describe_nothing(query: Query, method: Method) -> Verdict:
    """Explain why a method finds nothing for a query."""
    if query.embedding is None and method not in BY_WORDS:
        return NOTHING_KNOWN if method == "infersent" else replace(NOTHING_KNOWN, level=None)
    return Verdict(None, (f"− by {method}, no caption has anything in common with the query",))


def describe_no_sum(query: Query) -> Verdict:
    """Explain why a sum has no embedding."""
    if unknown := [term.text for term in query.terms if term.is_unknown]:
        named = " and ".join(f"“{text}”" for text in unknown)
        return Verdict("unreliable", (f"− no word of {named} is known, so there is nothing to add",))
    return Verdict("unreliable", ("− the terms cancel out: their sum is nearly zero and has no direction",))


def judge_by_rules(query: Query, hits: Sequence[frozenset[str]], *, measurable: bool = True) -> Verdict:
    """Judge a query by rules of thumb: its known content words, what the hits have of them, and its unknown words.

    At most one such word is unreliable, two or three are doubtful, and so are more that the hits seldom have.

    Args:
        query: The query.
        hits: Words, in lower case, of each of its first ten hits, without copies of it.
        measurable: Whether the corpus is large enough for a calibration.
    """
    words = {token.text.lower() for token in query.subject if token.counts}
    content = query.count_content_words()
    share = float(np.mean([len(words & hit) / len(words) for hit in hits])) if words and hits else 0.0
    level: Level = "unreliable" if content <= 1 else "doubtful" if content <= 3 else "reliable"
    sign = "+" if content > 3 else "−"
    reasons = [f"{sign} {count_of(content, 'known content word')}: {_LENGTH_REASONS[content > 1, content > 3]}"]
    if level == "reliable" and share < _SELDOM:
        level, reasons = "doubtful", [f"− the hits have {share:.0%} of its words"]
    rule = f"· {'not measured' if measurable else 'too few captions to measure'}: by a rule of thumb"
    return _lowered_by_unknown(Verdict(level, (rule, *reasons, *name_unknown(query))), query)


_ABOUT_IT = 0.5  # share of the words that the images of a query's hits have; those of foreign sentences have less
_SELDOM = 0.15  # share of the words that the hits alone have; 2 % of foreign sentences and 96 % of COCO's have more
_LENGTH_REASONS = {
    (False, False): "too little for a sentence encoder, which was trained on whole sentences",
    (True, False): "shorter than the sentences the encoder was trained on",
    (True, True): "long enough to read as a sentence",
}
NOTHING_KNOWN = Verdict(
    "unreliable",
    ("− no word of the query is known, so there is nothing to compare: every such query has the same embedding",),
)
"""Verdict on a query in which no word has a vector."""
