"""Explorer: answer questions about an opened corpus."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.answers import Answer, Explanation, FeatureWinners, Stopwatch
from core.assets import AssetError
from core.encoding.encoder import not_cancelled
from core.opened import Opened
from core.queries import Queries, marks_importance, tokens_of
from core.query import Query
from core.ranking.agreement import Side, agree
from core.ranking.arithmetic import quoted
from core.ranking.comparison import Comparison, SharedWords, compare
from core.ranking.lexical import BM25
from core.ranking.methods import AGAINST, Choice, Method
from core.ranking.ranking import FIRST, LEADING, Found, Ranking
from core.ranking.scan import scan_error
from core.store.progress import Cancelled, Steps
from core.trust.verdict import (
    Verdict,
    describe_feature,
    describe_no_sum,
    describe_nothing,
    describe_unmeasured,
    first_hits,
    judge_by_rules,
)

if TYPE_CHECKING:
    from core.trust.stress import Stressed


class Explorer:
    """Turns queries into `Answer`s; methods other than `infersent` need `Opened.open_methods`.

    One thread at a time may use it, except for `random_row` and the `shared_words` of its answers.
    """

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.queries = Queries(opened)
        self._by_second: Explorer | None = None

    def ask(
        self,
        text: str,
        *,
        method: Choice = "infersent",
        settled: bool = True,
        k: int = LEADING,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Answer:
        """Answer a typed query, which may be a sum such as `a dog on a beach - a dog + a horse`.

        Args:
            text: The query.
            method: Ranking method; sums always use `infersent`.
            settled: False while the user types: an unknown last word is then ignored unless a blank follows it.
            k: Number of leading hits.
            cancelled: Polled while a very long query is encoded.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        watch = Stopwatch()
        query = self.queries.of_text(text, settled=settled, watch=watch, cancelled=cancelled)
        return self.answer(query, method=method, k=k, watch=watch, cancelled=cancelled)

    def answer(
        self,
        query: Query,
        *,
        method: Choice = "infersent",
        k: int = LEADING,
        watch: Stopwatch | None = None,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Answer:
        """Search for a typed query, or for a caption with its tokens, and judge the hits.

        Raises:
            Cancelled: `cancelled` returned True while a second encoder encoded the query.
        """
        watch = watch or Stopwatch()
        chosen = self._choose(method, query)
        found = self._find(query, chosen, k=max(k, LEADING), cancelled=cancelled)
        watch.lap("search")
        verdict = self._judge(query, found, chosen)
        if found is not None and k < len(found.leading):
            found = replace(found, leading=found.page(0, k))
        return self._answer(query, found, chosen, verdict=verdict, timings=watch.timings())

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
            near = int(found.order().distances.searchsorted(distance + error, "right"))
            exact = self._find(query, answer.method, k=near if most is None else min(near, most))
            ranking = found.leading if exact is None else exact.leading
        count = int(ranking.distances.searchsorted(distance, "right"))
        places = np.arange(count if most is None else min(count, most), dtype=np.int32)  # (K,)
        found = replace(found, leading=ranking.at(places))
        return self._answer(query, found, answer.method, verdict=answer.verdict, timings=answer.timings_ms)

    def neighbours(self, row: int, *, method: Choice = "infersent") -> Answer:
        """Find the neighbours of a caption; `complete` adds tokens and verdict later, since these need the encoder."""
        watch, query = Stopwatch(), self.queries.of_row(row)
        chosen = self._choose(method, query)
        found = self._find(query, chosen, k=LEADING)
        watch.lap("search")
        return self._answer(query, found, chosen, verdict=None, timings=watch.timings())

    def complete(self, answer: Answer, *, cancelled: Callable[[], bool] = not_cancelled) -> Answer:
        """Add tokens, their importance and the verdict to the neighbours of a caption.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        watch = Stopwatch(answer.timings_ms)
        query = self.queries.complete(answer.query, watch=watch, cancelled=cancelled)
        verdict = self._judge(query, answer.found, answer.method)
        return replace(answer, query=query, verdict=verdict, timings_ms=watch.timings())

    def compare(
        self,
        query: Query,
        *,
        methods: Sequence[Method] | None = None,
        k: int = LEADING,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Comparison:
        """Rank a query by several methods, without a verdict; `Opened.open_methods` must have run.

        Equal texts count once, so that copies neither fill the lists nor raise the overlap.

        Args:
            query: The query; for a sum or a feature, which only `infersent` can rank, the comparison has no lists.
            methods: The methods, in the order of the lists; None for all.
            k: Number of leading hits per method.
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
            found = rankers.find(method, query, k=k, cancelled=cancelled)
            leading = Ranking.empty() if found is None else found.leading
            rankings[method] = leading.at(self.opened.folds.fold(leading.rows).texts.places)
        shared = SharedWords(query, self._bm25)
        return compare(query.text, query.row, rankings, texts=captions.texts, shared_words=shared)

    def explain(self, answer: Answer, row: int, *, cancelled: Callable[[], bool] = not_cancelled) -> Explanation:
        """Compute which words shaped a hit's embedding and which it shares with the query of an answer.

        For a list by the second encoder, its embeddings are explained.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        if answer.method == AGAINST:
            second = self._second()
            query = second.queries.of_text(quoted(answer.query.literal), settled=False, cancelled=cancelled)
            return second.explain(replace(answer, query=query, method="infersent"), row, cancelled=cancelled)
        opened, query = self.opened, answer.query
        vocabulary, ids = opened.text_encoder.vocabulary, opened.matrix.sentences[row]
        if not opened.text_encoder.can_encode:
            return Explanation(row)
        encoded = self.queries.encode(ids, cancelled=cancelled)
        agreement, falls_on = None, None
        if query.feature is not None:
            falls_on = self._word_of(ids, int(encoded.winners[query.feature]))
        elif query.embedding is not None and query.is_text:
            winners = self.queries.encode(query.ids, cancelled=cancelled).winners  # (D,)
            agreement = agree(
                Side(query.embedding, winners, vocabulary.words(query.ids)),
                Side(opened.matrix.rows[row], encoded.winners, vocabulary.words(ids)),
            )
        tokens = tokens_of(vocabulary.look_up(opened.captions.texts[row]), encoded)
        return Explanation(row, tokens, marks_importance(encoded), agreement, falls_on)

    def feature(self, number: int, *, method: Method = "infersent") -> Steps[FeatureWinners]:
        """Find the captions in which a feature is greatest, and the words on which it falls.

        Args:
            number: Its number, 0 to D - 1.
            method: `against` for a feature of the second encoder.

        Raises:
            AssetError: The weights cannot be used, or not even one sentence fits on the device.
        """
        if method == AGAINST:
            return (yield from self._second().feature(number))
        query, sentences = self.queries.of_feature(number), self.opened.matrix.sentences
        assert query.embedding is not None
        hits = self.opened.searcher.nearest(query.embedding, k=LEADING).leading
        ids = [sentences[row] for row in hits.rows.tolist()]
        encoded = yield from self.opened.text_encoder.encode_together(ids)
        words = (self._word_of(of, int(each.winners[number])) for of, each in zip(ids, encoded, strict=True))
        return FeatureWinners(number, hits, tuple(words))

    def _second(self) -> Explorer:
        """Return an explorer of the second encoder."""
        if self._by_second is None:
            self._by_second = Explorer(self.opened.encoder_of(AGAINST))
        return self._by_second

    def _word_of(self, ids: NDArray[np.int32], place: int) -> str:
        """Return the word at a place among token ids, (T,); empty for a sentence mark."""
        return self.opened.text_encoder.vocabulary.words(ids[place : place + 1])[0] if 0 < place < len(ids) - 1 else ""

    def stress(self, text: str, *, method: Choice = "infersent") -> Steps[Stressed]:
        """Ask the variations of a text by the encoder, or by the second one if that is the `method`.

        The text has a word that this encoder knows; it is read literally.

        Raises:
            AssetError: The weights cannot be used, or not even one sentence fits on the device.
        """
        from core.trust.stress import measure_threshold, stress  # seldom needed, and the first answer should come soon

        opened = self.opened.encoder_of(method)
        matrix, text_encoder = opened.matrix, opened.text_encoder
        threshold = yield from measure_threshold(matrix, opened.captions.texts, text_encoder)
        stressed = yield from stress(
            text,
            sentences=matrix.sentences,
            searcher=opened.searcher,
            text_encoder=text_encoder,
            threshold=threshold,
        )
        return stressed

    def random_row(self, rng: random.Random | None = None, *, other_than: int | None = None) -> int:
        """Draw a random caption that has at least one known word.

        Args:
            rng: Source of randomness; None for a new one.
            other_than: A row to avoid, unless it is the only candidate.

        Raises:
            AssetError: No caption has a known word.
        """
        matrix = self.opened.matrix
        never_drawn = set(matrix.sentences.wordless().tolist())
        if other_than is not None and len(never_drawn | {other_than}) < len(matrix):
            never_drawn.add(other_than)
        if len(never_drawn) == len(matrix):
            raise AssetError(
                self.opened.setup.assets.captions,
                "no caption has a word that the vectors know",
                advice="check that captions and vectors are of the same language",
            )
        draw = rng or random.Random()
        while (row := draw.randrange(len(matrix))) in never_drawn:
            pass
        return row

    def _choose(self, method: Choice, query: Query) -> Method:
        """Resolve `auto` for a query; without a calibration it is `infersent`."""
        if not query.is_text:
            return "infersent"
        if method != "auto":
            return method
        calibration = self.opened.calibration
        return "infersent" if calibration is None else calibration.best_method(self.queries.content_words(query))

    def _find(
        self, query: Query, method: Method, *, k: int, cancelled: Callable[[], bool] = not_cancelled
    ) -> Found | None:
        if method == "infersent":
            if query.embedding is None:
                return None
            return self.opened.searcher.nearest(query.embedding, k=k, own_row=query.row)
        if self.opened.rankers is None:
            raise RuntimeError("open_methods comes first")
        return self.opened.rankers.find(method, query, k=k, cancelled=cancelled)

    def _judge(self, query: Query, found: Found | None, method: Method) -> Verdict | None:
        """Judge by the calibration, or by rules of thumb before there is one."""
        if query.feature is not None:
            return describe_feature(query, self.opened.matrix.dim)
        if query.is_unfinished:
            return None
        if found is None:
            return describe_no_sum(query) if query.terms else describe_nothing(query, method, self.opened.lacks(method))
        if self.opened.judge is not None:
            return self.opened.judge.judge(query, found, method)
        return self._judge_unmeasured(query, found, method)

    def _judge_unmeasured(self, query: Query, found: Found, method: Method) -> Verdict | None:
        """Judge by rules of thumb, but not while a saved calibration is being loaded."""
        opened = self.opened
        if opened.saved_calibration is not None:
            return None
        if method != "infersent":
            return describe_unmeasured(opened.name_of(method), why=opened.why_unmeasured)
        sentences, vocabulary = opened.matrix.sentences, opened.text_encoder.vocabulary
        hits, _ = first_hits(query, found, sentences)
        words = [frozenset(map(str.lower, vocabulary.words(sentences[row]))) for row in hits.rows[:FIRST]]
        return judge_by_rules(query, words, why=opened.why_unmeasured)

    def _answer(
        self, query: Query, found: Found | None, method: Method, *, verdict: Verdict | None, timings: dict[str, float]
    ) -> Answer:
        """Make the answer, with what was measured of random captions for distances of the encoder."""
        calibration, closer, within = self.opened.calibration, None, None
        if calibration is not None and found is not None and method == "infersent" and query.is_text:
            closer = calibration.closer_than(found.leading.distances, query.known)  # (K,)
            within = calibration.relevant_within(query.known)
        return Answer(
            query=query,
            method=method,
            found=found,
            verdict=verdict,
            closer_than=closer,
            relevant_within=within,
            shared_words=SharedWords(query, self._bm25),
            timings_ms=timings,
        )

    def _bm25(self) -> BM25 | None:
        return None if self.opened.rankers is None else self.opened.rankers.lexical.bm25
