"""The same mathematics done slowly: what the fast code must equal."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist


def encode_slowly(weights: dict[str, torch.Tensor], sentences: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Encode sentences one at a time through `torch.nn.LSTM`, the maximum over time of both directions; (N, D)."""
    hidden, word_dim = weights["enc_lstm.weight_ih_l0"].shape[0] // 4, weights["enc_lstm.weight_ih_l0"].shape[1]
    lstm = torch.nn.LSTM(word_dim, hidden, bidirectional=True)
    lstm.load_state_dict({name.removeprefix("enc_lstm."): value for name, value in weights.items()})
    with torch.no_grad():
        return np.stack([lstm(torch.tensor(words)[:, None])[0][:, 0].max(dim=0).values.numpy() for words in sentences])


def winners_slowly(
    weights: dict[str, torch.Tensor], sentences: Sequence[NDArray[np.float32]]
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """For each sentence, the first token with each feature's maximum, (D,), and by how much it wins, (D,)."""
    hidden, word_dim = weights["enc_lstm.weight_ih_l0"].shape[0] // 4, weights["enc_lstm.weight_ih_l0"].shape[1]
    lstm = torch.nn.LSTM(word_dim, hidden, bidirectional=True)
    lstm.load_state_dict({name.removeprefix("enc_lstm."): value for name, value in weights.items()})
    found = []
    for words in sentences:
        with torch.no_grad():
            states = lstm(torch.tensor(words)[:, None])[0][:, 0].numpy()  # (T, D)
        first_two = np.sort(states, axis=0)[-2:]  # (2, D) or (1, D)
        found.append(
            (states.argmax(axis=0), first_two[-1] - first_two[0] if len(words) > 1 else np.ones(len(states.T)))
        )
    return found


def rank_slowly(
    query: NDArray[np.floating], rows: NDArray[np.float16]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rank all rows: scipy's cosine distances in float64, clipped at 0, equal ones by row number."""
    distances = cdist(query[None].astype(np.float64), rows.astype(np.float64), "cosine")[0].clip(0)
    order = np.argsort(distances, kind="stable")
    return order, distances[order]
