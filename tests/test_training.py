"""Test the training program's own computations, without a teacher."""

import dataclasses

import numpy as np
import pytest
import torch

from training.lstm import PooledLSTM
from training.model import Student
from training.sources import collect
from training.train import Batches, Plan, TrainingSet, train


def packed(lengths: list[int], width: int, seed: int = 0):
    """Make random sentences, the longest first: as a list, packed for both directions (2, S, E), and the counts."""
    generator = torch.Generator().manual_seed(seed)
    sentences = [torch.randn(length, width, generator=generator).bfloat16().float() for length in lengths]
    counts = [sum(length > time for length in lengths) for time in range(lengths[0])]
    forward = [sentence[time] for time in range(lengths[0]) for sentence in sentences if time < len(sentence)]
    backward = [sentence.flip(0)[time] for time in range(lengths[0]) for sentence in sentences if time < len(sentence)]
    return sentences, torch.stack([torch.stack(forward), torch.stack(backward)]), counts


def test_the_packed_lstm_has_the_maxima_and_gradients_of_torch_lstm():
    width, hidden = 6, 64
    sentences, inputs, counts = packed([5, 5, 3, 1], width)
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(width, hidden, bidirectional=True)
    expected = torch.cat([lstm(sentence[:, None])[0].max(dim=0).values for sentence in sentences])  # (B, 2H)
    weights = {
        name: torch.stack([getattr(lstm, f"{name}_l0"), getattr(lstm, f"{name}_l0_reverse")]).detach().requires_grad_()
        for name in ("weight_ih", "weight_hh")
    }
    bias = torch.stack([lstm.bias_ih_l0 + lstm.bias_hh_l0, lstm.bias_ih_l0_reverse + lstm.bias_hh_l0_reverse]).detach()
    bias.requires_grad_()
    maxima = PooledLSTM.apply(inputs, weights["weight_ih"], weights["weight_hh"], bias, counts)
    torch.testing.assert_close(torch.cat(tuple(maxima), dim=1), expected, atol=0.02, rtol=0)

    expected.sum().backward()
    maxima.sum().backward()
    for mine, theirs in (
        (weights["weight_ih"].grad[0], lstm.weight_ih_l0.grad),
        (weights["weight_ih"].grad[1], lstm.weight_ih_l0_reverse.grad),
        (weights["weight_hh"].grad[0], lstm.weight_hh_l0.grad),
        (weights["weight_hh"].grad[1], lstm.weight_hh_l0_reverse.grad),
        (bias.grad[0], lstm.bias_ih_l0.grad),
    ):
        assert torch.nn.functional.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0) > 0.98


def test_a_held_out_sentence_is_never_trained_on_whatever_its_case_and_punctuation():
    made = collect(
        [("own", ["A dog runs.", "a cat sleeps"]), ("own", ["Held out, THIS one!"])], held_out={"held out this one"}
    )
    assert sorted(made.texts) == ["A dog runs.", "a cat sleeps"]


@pytest.fixture
def training_set():
    random = np.random.default_rng(0)
    ids = [random.integers(0, 30, size=random.integers(3, 8)).astype(np.int32) for _ in range(40)]
    targets = random.normal(size=(40, 12)).astype(np.float32)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    groups = (np.arange(40) // 4).astype(np.int32)
    texts = [" ".join("abcdefghijklmnopqrstuvwxyz012345"[word] * 3 for word in sentence) for sentence in ids]
    return TrainingSet(ids, targets.astype(np.float16), groups, np.array(["own"] * 40), texts, -1)


def student() -> Student:
    torch.manual_seed(0)
    vectors = np.random.default_rng(1).normal(size=(30, 10)).astype(np.float32)
    return Student(vectors, hidden=8, teacher_dim=12)


def test_a_run_that_is_killed_and_resumed_ends_with_the_same_weights(training_set, tmp_path, monkeypatch):
    monkeypatch.setattr("training.train._CHECKPOINT_STEPS", 4)
    plan = Plan(steps=24, cycle=24, batch=16, hidden=8)
    whole, first = student(), student()
    train(whole, training_set, plan, checkpoint=tmp_path / "whole.pt", report=lambda line: None)

    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if line.startswith("step 16"):
            raise Killed

    with pytest.raises(Killed):
        train(first, training_set, plan, checkpoint=tmp_path / "killed.pt", report=kill)
    again = student()
    train(again, training_set, plan, checkpoint=tmp_path / "killed.pt", report=lambda line: None)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-5, rtol=0)


def test_training_lowers_the_loss(training_set, tmp_path, monkeypatch):
    monkeypatch.setattr("training.train._CHECKPOINT_STEPS", 20)
    reports: list[str] = []
    plan = Plan(steps=100, cycle=100, batch=32, hidden=8, rate=1e-2)
    train(student(), training_set, plan, checkpoint=tmp_path / "checkpoint.pt", report=reports.append)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in reports]
    assert losses[-1] < 0.9 * losses[0]


def test_target_cosines_mix_in_the_cosines_of_the_spellings(training_set):
    plan = Plan(steps=1, cycle=1, batch=16, hidden=8)
    teacher_only = Batches(training_set, plan)(0)
    mixed = Batches(training_set, dataclasses.replace(plan, spelling_weight=0.5))(0)
    torch.testing.assert_close(teacher_only.cosines, teacher_only.targets @ teacher_only.targets.T)
    spelling_cosines = 3 * mixed.cosines - 2 * teacher_only.cosines
    torch.testing.assert_close(spelling_cosines.diagonal(), torch.ones(16), atol=1e-3, rtol=0)
    assert spelling_cosines.min() > -1e-3
    assert 0 < (spelling_cosines > 0.01).float().mean() < 1


def test_training_can_start_from_saved_weights(tmp_path):
    made, again = student(), student()
    with torch.no_grad():
        made.weight_hh.mul_(2)
        made.bias.add_(0.25)
    made.save(tmp_path / "encoder.pkl")
    again.load(tmp_path / "encoder.pkl")
    for name in ("weight_ih", "weight_hh", "bias"):
        torch.testing.assert_close(getattr(again, name), getattr(made, name), atol=2e-3, rtol=0)


def test_the_saved_weights_are_an_official_format_state_dict(tmp_path):
    from core.encoding.encoder import SentenceEncoder

    made = student()
    made.save(tmp_path / "encoder.pkl")
    encoder = SentenceEncoder.load(tmp_path / "encoder.pkl")
    ids = np.array([3, 1, 4, 1, 5], np.int32)
    mine = made.eval()([ids])[0].detach().numpy()
    theirs = encoder.encode(made.vectors.numpy()[ids]).embedding
    assert mine @ theirs / np.linalg.norm(mine) / np.linalg.norm(theirs) > 0.999
