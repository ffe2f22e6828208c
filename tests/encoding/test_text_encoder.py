"""The text encoder: many texts as one by one, its weights loaded once and only when they are needed."""

import threading

import numpy as np
import pytest
from conftest import embedding_of

from core.encoding.text_encoder import TextEncoder
from core.store.progress import finish


def test_many_texts_are_encoded_like_each_alone_and_those_without_known_words_like_the_marks(files):
    explorer = files.explorer()
    encoder = explorer.opened.text_encoder
    texts = ["a dog near the window", "zzz", "a dog", "", "a bicycle dog"]
    out = np.empty((len(texts), 32), np.float32)
    finish(encoder.embed(texts, out))
    for row, words in zip(out, ["a dog near the window", "", "a dog", "", "a dog"], strict=True):
        np.testing.assert_allclose(row, embedding_of(explorer, words), atol=1e-4)


def test_weights_are_loaded_when_a_text_is_encoded_and_not_before(files):
    encoder = files.explorer().opened.text_encoder
    loads = []
    late = TextEncoder(encoder.vocabulary, lambda: loads.append(1) or encoder.sentence_encoder)
    ids = late.vocabulary.look_up("a dog").ids
    assert (late.is_loaded, late.ran_out_of_memory, loads) == (False, False, [])
    late.encode(ids)
    late.warm_up()
    assert (late.is_loaded, loads) == (True, [1])


def test_two_threads_that_ask_for_the_encoder_at_once_load_the_weights_once(files):
    encoder = files.explorer().opened.text_encoder
    both_load, loads, got = threading.Barrier(2, timeout=0.5), [], []

    def load():
        loads.append(1)
        with pytest.raises(threading.BrokenBarrierError):
            both_load.wait()  # the other thread must not come here, too
        return encoder.sentence_encoder

    late = TextEncoder(encoder.vocabulary, load)
    threads = [threading.Thread(target=lambda: got.append(late.sentence_encoder)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]
    assert got == [encoder.sentence_encoder] * 2
