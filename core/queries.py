"""Queries: make a `Query` from a typed text or a caption, and remember recent embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.answers import Stopwatch
from core.assets import AssetError
from core.corpus.vocabulary import LookedUp
from core.encoding.encoder import EncodedSentence, not_cancelled
from core.query import Query, Term, Token
from core.ranking.arithmetic import Summand, feature_of, parse, unquoted, weighted_sum
from core.store.progress import Steps

if TYPE_CHECKING:
    from core.opened import Opened

_RECENT = 64  # sentences kept: each keystroke asks for all terms of a sum, each cursor movement for a hit


class Queries:
    """Makes queries over an opened corpus. Not thread-safe: call it from one thread."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._vocabulary = opened.text_encoder.vocabulary
        self._recent: dict[str, EncodedSentence] = {}  # by key, latest last
        self._unwritten: dict[str, EncodedSentence] = {}  # settled queries that `remember` writes
        self._written: set[str] = set()  # those of recent keys that are in the cache
        self._ahead: dict[bytes, EncodedSentence] = {}  # by token ids: sentences that were encoded together

    def of_text(
        self,
        text: str,
        *,
        settled: bool = True,
        watch: Stopwatch | None = None,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Query:
        """Make the query of a typed text, a sum such as `a dog on a beach - a dog + a horse`, or a feature, `#812`.

        A text that equals a caption becomes the query of that caption and is never read as one of these.

        Args:
            text: The text.
            settled: False while the user types: the last word counts as unfinished unless a blank follows it.
            watch: Times `tokenize` and `encode`.
            cancelled: Polled while a very long text is encoded.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        watch = watch or Stopwatch()
        terms, literal = parse(text), unquoted(text)
        looked_up = self._vocabulary.look_up(literal)
        watch.lap("tokenize")
        ids = looked_up.ids
        unfinished = not settled and not text[-1:].isspace()
        same = self._opened.matrix.sentences.find(ids).tolist() if len(ids) > 2 else []
        is_caption = any(self._is_text_of(row, looked_up.words) for row in same)
        if (feature := feature_of(text)) is not None and not is_caption:
            return self.of_feature(feature)
        if not self._opened.text_encoder.can_encode:
            row = next((row for row in same if self._is_text_of(row, looked_up.words)), None)
            embedding = None if row is None else self._opened.matrix.rows[row]  # (D,)
            tokens = tokens_of(looked_up, None, unfinished=unfinished)
            return Query(text=text, literal=literal, row=row, ids=ids, embedding=embedding, tokens=tokens)
        if terms and not is_caption:
            return self._sum(text, terms, unfinished=unfinished, settled=settled, watch=watch, cancelled=cancelled)
        if len(ids) <= 2:
            tokens = tokens_of(looked_up, None, unfinished=unfinished)
            return Query(text=text, literal=literal, ids=ids, tokens=tokens, marks_importance=1.0)
        encoded = self.encode(ids, cancelled=cancelled, settled=settled)
        watch.lap("encode")
        row = next(iter(same), None)
        embedding = encoded.embedding if row is None else self._opened.matrix.rows[row]
        tokens, marks = tokens_of(looked_up, encoded, unfinished=unfinished), marks_importance(encoded)
        return Query(
            text=text, literal=literal, row=row, ids=ids, embedding=embedding, tokens=tokens, marks_importance=marks
        )

    def of_feature(self, number: int) -> Query:
        """Make the query of a feature: its axis, to which those captions are near in which it is great.

        A number that is not one of 0 to D - 1 has no axis, and the query no embedding.
        """
        axis = None
        if number < self._opened.matrix.dim:
            axis = np.zeros(self._opened.matrix.dim, np.float32)  # (D,)
            axis[number] = 1
        return Query(text=f"#{number}", ids=self._vocabulary.marks, embedding=axis, feature=number)

    def encode_ahead(self, texts: Sequence[str]) -> Steps[None]:
        """Encode the sentences of many texts together, and of the terms of those that are sums, for `of_text`.

        What was encoded ahead before is forgotten. `remember` does not write these: encoding them together takes about
        as long as reading them. Where they do not fit on the device, they are encoded one by one.
        """
        self._ahead = {}
        if self._opened.text_encoder.can_encode:
            terms = [summand.text for text in texts for summand in parse(text) or ()]
            ids = (self._vocabulary.look_up(text).ids for text in (*map(unquoted, texts), *terms))
            wanted = [each for each in ids if len(each) > 2]
            with suppress(AssetError):  # weights that cannot be used are an error again when one is encoded
                encoded = yield from self._opened.text_encoder.encode_together(wanted)
                self._ahead = dict(zip((each.tobytes() for each in wanted), encoded, strict=True))

    def of_row(self, row: int) -> Query:
        """Make the query of a caption without tokens, which needs neither encoder nor tokenizer."""
        text, ids = self._opened.captions.texts[row], self._opened.matrix.sentences[row]
        embedding = self._opened.matrix.rows[row] if len(ids) > 2 else None  # (D,)
        marks = 0.0 if len(ids) > 2 else 1.0
        return Query(text=text, literal=text, row=row, ids=ids, embedding=embedding, marks_importance=marks)

    def complete(self, query: Query, *, watch: Stopwatch, cancelled: Callable[[], bool] = not_cancelled) -> Query:
        """Add tokens and their importance to the query of a caption.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        looked_up = self._vocabulary.look_up(query.text)
        watch.lap("tokenize")
        if query.embedding is None or not self._opened.text_encoder.can_encode:
            return replace(query, tokens=tokens_of(looked_up, None))
        encoded = self.encode(query.ids, cancelled=cancelled, settled=True)
        watch.lap("encode")
        return replace(query, tokens=tokens_of(looked_up, encoded), marks_importance=marks_importance(encoded))

    def content_words(self, query: Query) -> int:
        """Count the known content words of a query."""
        return sum(Token(word, True, 0.0).counts for word in self._vocabulary.words(query.ids[1:-1].tolist()))

    def encode(
        self, ids: NDArray[np.int32], *, cancelled: Callable[[], bool] = not_cancelled, settled: bool = False
    ) -> EncodedSentence:
        """Encode token ids, or return the remembered result.

        Args:
            ids: Token ids between the sentence marks, (T,).
            cancelled: Polled while a very long sentence is encoded.
            settled: Whether to read the result from the disk cache too, and keep a new one for `remember`.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        opened = self._opened
        if (ahead := self._ahead.get(ids.tobytes())) is not None:
            return ahead
        digest = hashlib.sha256(ids.tobytes()).hexdigest()
        key = f"{opened.matrix.folder.name}:{opened.setup.device}:winners:{digest}"
        encoded = self._recent.pop(key, None)
        if encoded is None and settled and (cached := opened.cache.recall_answer(key)):
            encoded = _encoded_from(cached, opened.matrix.dim, len(ids))
            if encoded is not None:
                self._written.add(key)
        if encoded is None:
            encoded = opened.text_encoder.encode(ids, cancelled=cancelled)
        self._recent[key] = encoded
        if len(self._recent) > _RECENT:
            oldest = next(iter(self._recent))
            del self._recent[oldest]
            self._written.discard(oldest)
        if settled and key not in self._written:
            self._unwritten[key] = encoded
        return encoded

    def remember(self) -> None:
        """Write the embeddings of settled queries to the cache. Call it after their answers are shown."""
        while self._unwritten:
            key, encoded = self._unwritten.popitem()
            self._opened.cache.remember_answer(key, encoded.embedding.tobytes() + encoded.winners.tobytes())
            self._written.add(key)

    def _is_text_of(self, row: int, words: list[str]) -> bool:
        return self._vocabulary.tokenizer.tokenize(self._opened.captions.texts[row]) == words

    def _sum(
        self,
        text: str,
        summands: Sequence[Summand],
        *,
        unfinished: bool,
        settled: bool,
        watch: Stopwatch,
        cancelled: Callable[[], bool],
    ) -> Query:
        """Make the query of a sum. An unfinished last term is left out until it has a known word."""
        terms: list[Term] = []
        weights: list[float] = []
        embeddings: list[NDArray[np.float32]] = []
        for summand in summands:
            looked_up = self._vocabulary.look_up(summand.text)
            known = len(looked_up.ids) > 2
            encoded = self.encode(looked_up.ids, cancelled=cancelled, settled=settled and known)
            tokens = tokens_of(looked_up, encoded, unfinished=unfinished and summand is summands[-1])
            terms.append(Term(summand.weight, summand.text, tokens, marks_importance(encoded)))
            if known:
                weights.append(summand.weight)
                embeddings.append(encoded.embedding)
        watch.lap("encode")
        complete = not any(term.is_unknown for term in terms)
        embedding = weighted_sum(weights, embeddings) if embeddings and complete else None  # (D,)
        return Query(text=text, ids=self._vocabulary.marks, embedding=embedding, terms=tuple(terms))


def _encoded_from(cached: bytes, dim: int, length: int) -> EncodedSentence | None:
    """Decode a cached embedding with the token that won each feature; None when the bytes are damaged."""
    if len(cached) != 8 * dim:
        return None
    winners = np.frombuffer(cached, np.int32, offset=4 * dim)  # (D,)
    if winners.min() < 0 or winners.max() >= length:
        return None
    return EncodedSentence(np.frombuffer(cached, np.float32, dim), winners, length)  # (D,), (D,)


def tokens_of(looked_up: LookedUp, encoded: EncodedSentence | None, *, unfinished: bool = False) -> tuple[Token, ...]:
    """Make tokens with their importance; `unfinished` marks the last one as possibly incomplete."""
    shares = iter([] if encoded is None else encoded.importance[1:-1].tolist())
    last = len(looked_up.words) - 1
    return tuple(
        Token(word, row >= 0, next(shares, 0.0) if row >= 0 else 0.0, unfinished and i == last)
        for i, (word, row) in enumerate(zip(looked_up.words, looked_up.rows.tolist(), strict=True))
    )


def marks_importance(encoded: EncodedSentence) -> float:
    """Return the share of the features whose maximum falls on the two sentence marks, 0..1."""
    return float(encoded.importance[0] + encoded.importance[-1])
