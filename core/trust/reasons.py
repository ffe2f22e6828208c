"""Reasons: what a verdict says for and against the hits, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.query import Query, Token, content_words
from core.ranking.methods import BY_WORDS, Method
from core.ranking.ranking import FIRST, Ranking
from core.trust.calibration import (
    ABOUT_IT,
    LEAST_ATTAINABLE,
    LEAST_WHOLE,
    LONG_RELIABLE,
    NEARLY_ALL,
    SELDOM,
    SHORT_RELIABLE,
    Calibration,
    Level,
)
from core.trust.confirmation import Confirmed
from core.trust.signals import SignalMeter, Signals, without

_FEW = 3  # words that are named; confirmed hits
_UNUSUAL = 0.95  # a share of whole captions; a value beyond it is named as a reason


@dataclass(frozen=True, slots=True)
class Reasons:
    """Puts into words what was measured of a corpus, and what is seen of a query's hits."""

    calibration: Calibration
    meter: SignalMeter

    def evidence_of(
        self, hits: Ranking, confirmed: Confirmed | None, level: Level, probability: float | None
    ) -> list[str]:
        """Say what a short query or a sum is judged by."""
        if confirmed is None:
            return ["· no hit could be confirmed"]
        most = confirmed.hits >= FIRST / 2
        good = most if level == "doubtful" else level == "reliable"
        seen = f"{confirmed.hits} of {confirmed.of} confirmed"
        reasons = [self.seen(confirmed, good)]
        if confirmed.attainable < LEAST_ATTAINABLE:
            return reasons
        raised = level == "doubtful" and confirmed.share >= NEARLY_ALL
        if not most and (good or raised or confirmed.hits > _FEW):  # the share of the words decides too
            reasons = [f"{'·' if raised else sign_of(good)} {seen}; {self.share(confirmed)}"]
        elif most and probability is not None and probability < SHORT_RELIABLE:
            sign = "·" if good else "−"
            reasons = [f"{sign} {seen}, but far: {hits.distances[:FIRST].mean():.2f} on average"]
        if not self.calibration.by_images:
            reasons.append("· without image groups a short query is at most doubtful")
        elif self.calibration.short_predictor is None:
            reasons.append("· too few short queries could be measured here")
        return reasons

    def chance_of(
        self,
        query: Query,
        hits: Ranking,
        confirmed: Confirmed | None,
        *,
        signals: Signals,
        probability: float,
        level: Level,
        leave_out: NDArray[np.int64],
    ) -> list[str]:
        """Say what a query that is long enough is judged by."""
        good = probability >= LONG_RELIABLE * self.calibration.whole_recall
        followed = query.row is not None and self.meter.images is not None  # what is found of its image is said besides
        sign = "·" if followed else sign_of(good)
        chance = f"{sign} {of_100(probability)} queries with such hits {self.find_or_whole()}"
        more = [*name_unknown(query), *self.nothing_reliable()]
        if confirmed is None or confirmed.hits < FIRST / 2:  # fewer say little: a long text is seldom repeated
            first = [chance]
            if confirmed is not None and good and not self.calibration.by_images and confirmed.share < SELDOM:
                first.append(f"− {self.share(confirmed)}")
            elif level != "reliable" and not followed and (near := self.near(signals)):
                first += near
            elif level != "reliable" and confirmed is not None and confirmed.share >= ABOUT_IT:
                first.append(f"+ {self.share(confirmed)}")
            elif not followed:
                missing = self.missing(query, hits, leave_out)
                no_other = level != "reliable" and not missing and not more
                first += self.doubts(signals, hits)[:1] if no_other else missing
        elif good:
            first = [chance, self.seen(confirmed, True)]
        else:
            general = f"− too general for one scene: {of_100(probability)} {self.find_or_whole('it')}"
            first = [self.seen(confirmed, True), general]
        return [*first, *more]

    def seen(self, confirmed: Confirmed, good: bool) -> str:
        """Say how many hits are confirmed, and of how many captions where these are few."""
        if not confirmed.attainable:
            return "· no hit could be confirmed"
        if confirmed.attainable < LEAST_ATTAINABLE:
            enough = sign_of(confirmed.hits >= confirmed.attainable / 2)
            could = f"only {count_of(confirmed.attainable, 'caption')} could be"
            return f"{enough} {confirmed.hits} of {confirmed.of} confirmed, {could}"
        says = "confirmed by other captions of their image" if self.meter.images else "have all of the words"
        return f"{sign_of(good)} {confirmed.hits} of {confirmed.of} {says}"

    def share(self, confirmed: Confirmed) -> str:
        """Say how many of the words the hits have."""
        return f"the {'images of the ' if self.meter.images else ''}hits have {confirmed.share:.0%} of the words"

    def missing(self, query: Query, hits: Ranking, leave_out: NDArray[np.int64]) -> list[str]:
        """Name content words, three at most, that no caption of the images of the first ten hits has."""
        bm25, images, first = self.meter.bm25, self.meter.images, hits.rows[:FIRST]

        def is_said(stem: str) -> bool:
            rows = without(bm25.rows_with(stem), leave_out)
            return bool(np.isin(*((first, rows) if images is None else (images.of[first], images.of[rows]))).any())

        stems = {word: bm25.stems(word) for word in content_words(query.subject)}  # none for a stop word
        absent = [word for word, parts in stems.items() if parts and not any(map(is_said, parts))]
        named = ", ".join(absent[:_FEW]) + (" ..." if len(absent) > _FEW else "")
        return [f"− not in the first ten hits: {named}"] if absent else []

    def describe(self, query: Query, method: Method, name: str) -> str:
        """Say how often a method, which people know by `name`, finds the image at the query's length."""
        if not self.calibration.measures(method):
            return f"· how far {name} can be trusted is not measured yet"
        calibration, content = self.calibration, query.count_content_words(without_vector=method in BY_WORDS)
        if not content:
            return f"· {name} is not measured for queries without content words"
        shares = [calibration.recall(content, method), calibration.recall(content)]
        found = f"{of_100(shares[0])} such queries {self._find()}, by infersent {_hundred(shares[1])}"
        return f"· {count_of(content, 'content word')}: by {name} {found}"

    def _find(self, found: str = "their image") -> str:
        """Say what a successful query does: find its image, called `found`, or other hits of its whole caption."""
        captions = self.calibration.captions
        among = f" among {captions:,} captions" if captions < len(self.meter.bm25) else ""
        return f"find {found}{among}" if self.calibration.by_images else "find half of their whole caption's first ten"

    def find_or_whole(self, found: str = "their image") -> str:
        """Say what a successful query does, and how often whole captions do; without image groups all of them do."""
        whole = f", whole captions {_hundred(self.calibration.whole_recall)}"
        return self._find(found) + (whole if self.calibration.by_images else "")

    def longer(self, content: int) -> str | None:
        """Advise a longer sentence, with what that would bring; None where that is nothing."""
        cells = [cell for cell in self.calibration.curve if cell.kind == "words" and cell.length > content]
        cell = next((cell for cell in cells if not self.calibration.is_short(cell.length)), None)
        if cell is None or cell.by_method["infersent"][0] <= self.calibration.recall(content):
            return None
        share = of_100(cell.by_method["infersent"][0])
        return f"with {cell.length} content words {share} do"

    def near(self, signals: Signals) -> list[str]:
        """Say that hit 1 is nearer than it is for most whole captions, if so."""
        if self.calibration.share_nearer(signals.nearest) >= 1 - _UNUSUAL:
            return []
        return [f"+ hit 1 is near: {signals.nearest:.2f}, for whole captions usually {self._usual_nearest():.2f}"]

    def _usual_nearest(self) -> float:
        return float(np.median(self.calibration.whole_nearest))

    def doubts(self, signals: Signals, hits: Ranking) -> list[str]:
        """List what speaks against the hits of a query that is long enough."""
        doubts = []
        if self.calibration.share_nearer(signals.nearest) > _UNUSUAL:
            usual = f"{self._usual_nearest():.2f}"
            doubts.append(f"− hit 1 is far: {signals.nearest:.2f}, for whole captions usually {usual}")
        matches = round(np.expm1(signals.matches))
        if signals.content > 0 and matches > 10 * FIRST:
            doubts.append(f"− too general: {matches:,} captions have all of its words")
        if self.meter.images is not None and signals.same_image == 0:
            doubts.append(f"− the first {len(hits)} hits are of {len(hits)} different images")
        hubs = sum(row in self.calibration.hub_set for row in hits.rows[:FIRST].tolist())
        if hubs >= 2:
            doubts.append(f"− {hubs} of the first ten hits are hubs, which many unrelated queries find")
        return doubts

    def better_method(self, content: int) -> str | None:
        """Advise the method that finds more at a length; None where that is `infersent`."""
        best = self.calibration.best_method(content)
        more, usual = self.calibration.recall(content, best), self.calibration.recall(content)
        if more <= usual:
            return None
        return f"{best} finds more at this length: {of_100(more)}, infersent {_hundred(usual)}"

    def nothing_reliable(self) -> list[str]:
        """Explain why nothing is reliable, where that is so."""
        whole = self.calibration.whole_recall
        if self.calibration.least_content is None:
            return [f"− nothing is reliable here: not even whole captions {self._find()} more often than chance"]
        if whole >= LEAST_WHOLE:
            return []
        return [f"− nothing is reliable here: even of whole captions {of_100(whole)} {self._find()}"]


def of_100(share: float) -> str:
    """Format a share, 0..1, as in `8 of 100`."""
    return f"{_hundred(share)} of 100"


def _hundred(share: float) -> str:
    return f"{100 * share:.0f}"


def unknown_words(query: Query) -> list[Token]:
    """Return the words without a vector that are not being typed."""
    return [token for token in query.subject if token.is_word and not token.known and not token.unfinished]


def name_unknown(query: Query) -> list[str]:
    """Name the unknown words, if there are any; at most five."""
    unknown = list(dict.fromkeys(token.text for token in unknown_words(query)))
    named = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
    return [f"− unknown and left out: {named}"] if unknown else []


def sign_of(good: bool) -> str:
    """Return the sign of a reason."""
    return "+" if good else "−"


def count_of(number: int, noun: str) -> str:
    """Format a number with its noun."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
