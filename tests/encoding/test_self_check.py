"""The self check tells a device that computes otherwise."""

from conftest import write_weights

from core.encoding.encoder import SentenceEncoder
from core.encoding.self_check import least_cosine


def test_the_least_cosine_is_near_1_in_either_dtype_and_not_for_an_encoder_that_computes_otherwise(tmp_path):
    weights = write_weights(tmp_path / "weights.pkl")
    assert least_cosine(SentenceEncoder.load(weights), weights) > 0.999999
    coarse = SentenceEncoder.load(weights, dtype="bfloat16")
    assert 0.999 < least_cosine(coarse, weights, sentences=50) < 0.9999999
    other = SentenceEncoder.load(write_weights(tmp_path / "other.pkl", seed=7))
    assert least_cosine(other, weights) < 0.9
