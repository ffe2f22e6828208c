"""Explorer: answer questions about an opened corpus."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.answers import Answer, Stopwatch
from core.assets import AssetError
from core.encoding.encoder import not_cancelled
from core.explaining import Explainer
from core.judging import judge
from core.mapping import Mapper
from core.opened import Opened
from core.queries import Queries
from core.query import Query
from core.ranking.comparison import Comparison, SharedWords, compare
from core.ranking.filters import EVERY, Filter
from core.ranking.lexical import BM25
from core.ranking.methods import Choice, Method
from core.ranking.ranking import LEADING, Allowed, Found, Ranking
from core.ranking.scan import scan_error
from core.store.progress import Cancelled, Steps
from core.trust.verdict import Verdict

if TYPE_CHECKING:
    from core.ranking.masks import Masks
    from core.trust.stress import Stressed


class Explorer:
    """Turns queries into `Answer`s; methods other than `infersent` need `Opened.open_methods`.

    One thread at a time may use it, except for `random_row` and the `shared_words` of its answers.
    """

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.queries = Queries(opened)
        self.explainer = Explainer(opened, self.queries)
        self.mapper = Mapper(opened, self.queries)

    @cached_property
    def masks(self) -> Masks:
        """Finds the captions in memory that meet a filter."""
        from core.ranking.masks import Masks  # pyarrow is slow to import

        return Masks(self.opened.sample.captions, self.mapper.known_regions)

    def check(self, among: Filter) -> None:
        """Check that a filter asks for what these captions have, without looking for them.

        Raises:
            FilterError: It does not.
        """
        self.opened.check(among, self.masks)

    def allowed(self, among: Filter) -> Allowed | None:
        """Return the captions that meet a filter; None for one without conditions.

        Raises:
            FilterError: The filter asks for what these captions do not have.
        """
        return self.opened.allow(among, self.masks) if among.conditions else None

    def ask(
        self,
        text: str,
        *,
        method: Choice = "infersent",
        settled: bool = True,
        k: int = LEADING,
        among: Filter = EVERY,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Answer:
        """Answer a typed query, which may be a sum such as `a dog on a beach - a dog + a horse`.

        Args:
            text: The query.
            method: Ranking method; sums always use `infersent`.
            settled: False while the user types: an unknown last word is then ignored unless a blank follows it.
            k: Number of leading hits.
            among: Which captions may be found.
            cancelled: Polled while a very long query is encoded.

        Raises:
            Cancelled: `cancelled` returned True.
            FilterError: The filter asks for what these captions do not have.
        """
        watch = Stopwatch()
        query = self.queries.of_text(text, settled=settled, watch=watch, cancelled=cancelled)
        return self.answer(query, method=method, k=k, among=among, watch=watch, cancelled=cancelled)

    def answer(
        self,
        query: Query,
        *,
        method: Choice = "infersent",
        k: int = LEADING,
        among: Filter = EVERY,
        watch: Stopwatch | None = None,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Answer:
        """Search for a typed query, or for a caption with its tokens, and judge the hits: see `ask`.

        Raises:
            Cancelled: `cancelled` returned True while a second encoder encoded the query.
            FilterError: The filter asks for what these captions do not have.
        """
        watch = watch or Stopwatch()
        chosen = self._choose(method, query)
        allowed = self.allowed(among)
        found = self._find(query, chosen, k=max(k, LEADING), allowed=allowed, cancelled=cancelled)
        watch.lap("search")
        verdict = self._judge(query, found, chosen, allowed, cancelled=cancelled)
        if found is not None and k < len(found.leading):
            found = replace(found, leading=found.page(0, k))
        return self._answer(query, found, chosen, among=among, verdict=verdict, timings=watch.timings())

    def within(self, answer: Answer, distance: float, *, most: int | None = None) -> Answer:
        """Extend or cut the leading hits of an answer to those that lie within a distance of the query.

        Args:
            answer: The answer.
            distance: Cosine distance, 0..2.
            most: Number of hits to keep at most; None for all.

        Raises:
            ValueError: The hits have scores in place of distances.
        """
        found, query = answer.found, answer.query
        if found is None:
            return answer
        if found.leading.scores is not None:
            raise ValueError("the method has scores, not distances")
        ranking = found.leading
        if len(ranking) and ranking.distances[-1] <= distance and found.order is not None:
            error = scan_error(max(self.opened.matrix.dim, 1 << 14))  # a second encoder may have wider embeddings
            near = int(found.beyond(distance + error, most=most).distances.searchsorted(distance + error, "right"))
            allowed = self.allowed(answer.among)
            exact = self._find(query, answer.method, k=near if most is None else min(near, most), allowed=allowed)
            ranking = found.leading if exact is None else exact.leading
        count = int(ranking.distances.searchsorted(distance, "right"))
        places = np.arange(count if most is None else min(count, most), dtype=np.int32)  # (K,)
        found = replace(found, leading=ranking.at(places))
        timings, verdict = answer.timings_ms, answer.verdict
        return self._answer(query, found, answer.method, among=answer.among, verdict=verdict, timings=timings)

    def neighbours(self, row: int, *, method: Choice = "infersent", among: Filter = EVERY) -> Answer:
        """Find the neighbours of a caption; `complete` adds tokens and verdict later, since these need the encoder.

        Raises:
            FilterError: The filter asks for what these captions do not have.
        """
        watch, query = Stopwatch(), self.queries.of_row(row)
        chosen = self._choose(method, query)
        found = self._find(query, chosen, k=LEADING, allowed=self.allowed(among))
        watch.lap("search")
        return self._answer(query, found, chosen, among=among, verdict=None, timings=watch.timings())

    def complete(self, answer: Answer, *, cancelled: Callable[[], bool] = not_cancelled) -> Answer:
        """Add tokens, their importance and the verdict to the neighbours of a caption.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        watch = Stopwatch(answer.timings_ms)
        query = self.queries.complete(answer.query, watch=watch, cancelled=cancelled)
        verdict = self._judge(query, answer.found, answer.method, self.allowed(answer.among))
        return replace(answer, query=query, verdict=verdict, timings_ms=watch.timings())

    def compare(
        self,
        query: Query,
        *,
        methods: Sequence[Method] | None = None,
        k: int = LEADING,
        among: Filter = EVERY,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Comparison:
        """Rank a query by several methods, without a verdict; `Opened.open_methods` must have run.

        Equal texts count once, so that copies neither fill the lists nor raise the overlap.

        Args:
            query: The query; for a sum or a feature, which only `infersent` can rank, the comparison has no lists.
            methods: The methods, in the order of the lists; None for all.
            k: Number of leading hits per method.
            among: Which captions may be found.
            cancelled: Polled before each method, and while a second encoder encodes a very long query.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        rankers, captions = self.opened.rankers, self.opened.captions
        if rankers is None:
            raise RuntimeError("open_methods comes first")
        rankings: dict[Method, Ranking] = {}
        for method in methods or self.opened.methods if query.is_text else ():
            if cancelled():
                raise Cancelled
            found = rankers.find(method, query, k=k, allowed=self.allowed(among), cancelled=cancelled)
            leading = Ranking.empty() if found is None else found.leading
            rankings[method] = leading.at(self.opened.folds.fold(leading.rows).texts.places)
        shared = SharedWords(query, self._bm25)
        return compare(query.text, query.row, rankings, texts=captions.texts, shared_words=shared)

    def stress(self, text: str, *, method: Choice = "infersent") -> Steps[Stressed]:
        """Ask the variations of a text by the encoder, or by the second one if that is the `method`.

        The text has a word that this encoder knows; it is read literally.

        Raises:
            AssetError: The weights cannot be used, or not even one sentence fits on the device.
        """
        from core.trust.stress import measure_threshold, stress  # seldom needed, and the first answer should come soon

        opened = self.opened.encoder_of(method)
        sample, text_encoder = opened.sample, opened.text_encoder
        threshold = yield from measure_threshold(sample.matrix, sample.captions.texts, text_encoder)
        stressed = yield from stress(
            text,
            sentences=opened.matrix.sentences,
            searcher=opened.searcher,
            text_encoder=text_encoder,
            threshold=threshold,
        )
        return stressed

    def random_row(
        self, rng: random.Random | None = None, *, other_than: int | None = None, among: Filter = EVERY
    ) -> int:
        """Draw a random caption that has at least one known word.

        Args:
            rng: Source of randomness; None for a new one.
            other_than: A row to avoid, unless it is the only candidate.
            among: Which captions may be drawn.

        Raises:
            AssetError: No caption has a known word, or none of those meets the filter.
        """
        row = self.opened.draw(rng or random.Random(), self.allowed(among), other_than=other_than)
        if row is None:
            raise AssetError(
                self.opened.place, f"no caption meets the filter {among.text}", advice="use another filter"
            )
        return row

    def _choose(self, method: Choice, query: Query) -> Method:
        """Resolve `auto` for a query; without a calibration it is `infersent`."""
        if not query.is_text:
            return "infersent"
        if method != "auto":
            return method
        calibration = self.opened.calibration
        best = "infersent" if calibration is None else calibration.best_method(self.queries.content_words(query))
        return best if best in self.opened.methods else "infersent"

    def _find(
        self,
        query: Query,
        method: Method,
        *,
        k: int,
        allowed: Allowed | None = None,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Found | None:
        if method == "infersent":
            if query.embedding is None:
                return None
            return self.opened.searcher.nearest(query.embedding, k=k, own_row=query.row, allowed=allowed)
        if self.opened.rankers is None:
            raise RuntimeError("open_methods comes first")
        return self.opened.rankers.find(method, query, k=k, allowed=allowed, cancelled=cancelled)

    def _judge(
        self,
        query: Query,
        found: Found | None,
        method: Method,
        allowed: Allowed | None,
        *,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Verdict | None:
        """Judge a query by its hits among all captions, since the calibration measured those, whatever was searched.

        Where nothing was searched, there is nothing to judge.
        """
        if allowed is None or found is None:
            return judge(self.opened, query, found, method)
        if not allowed.count:
            return None
        if found.among_all is not None:
            among_all: Found | None = found.among_all()
        else:
            among_all = self._find(query, method, k=LEADING, cancelled=cancelled)
        verdict = judge(self.opened, query, among_all, method)
        told = f"· judged among all {allowed.of:,} captions, of which {allowed.count:,} meet the filter"
        return verdict and replace(verdict, reasons=(*verdict.reasons, told))

    def _answer(
        self,
        query: Query,
        found: Found | None,
        method: Method,
        *,
        among: Filter,
        verdict: Verdict | None,
        timings: dict[str, float],
    ) -> Answer:
        """Make the answer, with what was measured of random captions for distances of the encoder."""
        calibration, closer, within = self.opened.calibration, None, None
        allowed = self.allowed(among)
        if calibration is not None and found is not None and method == "infersent" and query.is_text:
            closer = calibration.closer_than(found.leading.distances, query.known)  # (K,)
            within = calibration.relevant_within(query.known)
        return Answer(
            query=query,
            method=method,
            found=found,
            among=among,
            allowed=allowed,
            verdict=verdict,
            closer_than=closer,
            relevant_within=within,
            shared_words=SharedWords(query, self._bm25),
            timings_ms=timings,
        )

    def _bm25(self) -> BM25 | None:
        return None if self.opened.rankers is None else self.opened.rankers.lexical.bm25
