"""Explaining: which words shaped a hit's embedding, which it shares with the query, and what a feature responds to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.answers import Answer, Explanation, FeatureWinners
from core.encoding.encoder import not_cancelled
from core.opened import Opened
from core.queries import Queries, marks_importance, tokens_of
from core.ranking.agreement import Side, agree
from core.ranking.arithmetic import quoted
from core.ranking.methods import AGAINST, Method
from core.ranking.ranking import LEADING
from core.store.progress import Steps


class Explainer:
    """Explains the hits of answers, and the features of the embeddings, of an opened corpus."""

    def __init__(self, opened: Opened, queries: Queries) -> None:
        self.opened, self.queries = opened, queries
        self._by_second: Explainer | None = None

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

    def _second(self) -> Explainer:
        """Return an explainer of the second encoder."""
        if self._by_second is None:
            second = self.opened.encoder_of(AGAINST)
            self._by_second = Explainer(second, Queries(second))
        return self._by_second

    def _word_of(self, ids: NDArray[np.int32], place: int) -> str:
        """Return the word at a place among token ids, (T,); empty for a sentence mark."""
        return self.opened.text_encoder.vocabulary.words(ids[place : place + 1])[0] if 0 < place < len(ids) - 1 else ""
