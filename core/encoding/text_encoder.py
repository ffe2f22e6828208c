"""TextEncoder: encode texts with a vocabulary and a sentence encoder that is loaded when first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.corpus.vocabulary import Vocabulary
from core.encoding.building import embed_sentences
from core.encoding.device_errors import told_for_people
from core.encoding.encoder import EncodedSentence, SentenceEncoder, not_cancelled
from core.store.progress import Progress, Steps, follow


class TextEncoder:
    """Encodes texts with a sentence encoder that `load` loads once, when first needed. Thread-safe.

    Without `load` there is no encoder, and nothing can be encoded.
    """

    def __init__(self, vocabulary: Vocabulary, load: Callable[[], SentenceEncoder] | None) -> None:
        self.vocabulary = vocabulary
        self._load = load
        self._lock = threading.Lock()
        self._loaded: SentenceEncoder | None = None

    @property
    def sentence_encoder(self) -> SentenceEncoder:
        """The sentence encoder; the first access loads the weights.

        Raises:
            AssetError: The weights cannot be used, or do not match the word vectors.
        """
        with self._lock:
            if self._loaded is None:
                if self._load is None:
                    raise RuntimeError("there is no encoder: ask `can_encode` first")
                self._loaded = self._load()
            return self._loaded

    @property
    def can_encode(self) -> bool:
        """Whether there is an encoder."""
        return self._load is not None

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are loaded."""
        return self._loaded is not None

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether single sentences are encoded on the CPU because the GPU ran out of memory."""
        return self._loaded is not None and self._loaded.ran_out_of_memory

    def warm_up(self) -> None:
        """Load the weights and NLTK now, so that the first typed text is answered without delay.

        Raises:
            AssetError: The weights cannot be used.
        """
        if self.can_encode:
            _ = self.sentence_encoder
        self.vocabulary.tokenizer.warm_up()

    def encode(self, ids: NDArray[np.int32], *, cancelled: Callable[[], bool] = not_cancelled) -> EncodedSentence:
        """Encode one sentence, given as token ids between the sentence marks, (T,).

        Raises:
            AssetError: The weights cannot be used.
            Cancelled: `cancelled` returned True.
        """
        return self.sentence_encoder.encode(np.asarray(self.vocabulary.vectors.rows[ids]), cancelled=cancelled)

    def encode_together(self, sentences: Sequence[NDArray[np.int32]]) -> Steps[list[EncodedSentence]]:
        """Encode sentences, equal ones once, in a fraction of the time that they take one by one.

        All is float32; `encode` reads recurrent weights in half precision on a CPU, so that the last digits differ.

        Raises:
            AssetError: The weights cannot be used, or not even one sentence fits on the device.
        """
        if not sentences:
            return []
        distinct = {ids.tobytes(): ids for ids in sentences}
        encoder, n = self.sentence_encoder, len(distinct)
        together = Sentences.joined(list(distinct.values()))
        pooled = yield from follow(
            encoder.encode_together(together, self.vocabulary.vectors, dtype="float32", winners=True),
            lambda step: Progress("encoding queries", step.done, n, "queries"),
        )
        with told_for_people(encoder.device):
            embeddings, winners = pooled.embeddings.cpu().numpy(), pooled.winners.cpu().numpy()  # (n, D) each
        places = {key: i for i, key in enumerate(distinct)}
        found = ((places[ids.tobytes()], len(ids)) for ids in sentences)
        return [EncodedSentence(embeddings[i], winners[i], length) for i, length in found]

    def embed(self, texts: Sequence[str], out: NDArray[np.float32]) -> Steps[None]:
        """Encode N texts into `out`, (N, D), not normalized.

        A text without known words gets the embedding of the two sentence marks.

        Raises:
            AssetError: The weights cannot be used, or not even one sentence fits on the device.
        """
        sentences = yield from self.vocabulary.sentences(texts)
        yield from embed_sentences(sentences, self.vocabulary.vectors, self.sentence_encoder, out)
