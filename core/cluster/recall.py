"""Recall: how many of the nearest captions an approximate search of a store finds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.cluster.connection import Connection
from core.cluster.predicates import rows_in
from core.cluster.schema import EMBEDDING, About, Approximation, embeddings_of
from core.cluster.searching import nearest_of
from core.ranking.ranking import FIRST
from core.store.progress import Progress, Steps

_QUERIES = 100
_COPIES = 16  # captions with a query's text that may be among its hits
_ROWS = 1024  # embeddings read together: few, so that a user's question can run soon


class ExactHits(NamedTuple):
    """The nearest captions of Q queries, nearest first."""

    rows: NDArray[np.int64]
    """(Q, K)."""
    cosines: NDArray[np.float32]
    """(Q, K)."""
    sentences: NDArray[np.int64]
    """Hashes of their token ids, (Q, K)."""


def measure_recall(connection: Connection, table: Any, about: About, how: Approximation) -> Steps[float]:
    """Measure the share of the first ten hits of an exact search that an approximate one finds, 0..1.

    The queries are random captions of the sample, each text once; captions with a query's text are no hits. The exact
    hits come from a single pass over all embeddings.

    Raises:
        AssetError: The store cannot be read.
    """
    with connection.errors():
        sample = table.search().where("in_sample = true").select(["row", "sentence"]).limit(about.captions).to_arrow()
        _, firsts = np.unique(sample["sentence"].to_numpy(), return_index=True)  # (texts,)
        chosen = np.random.default_rng(0).permutation(firsts)[:_QUERIES]  # (Q,)
        asked = table.search().where(rows_in(sample["row"].to_numpy()[chosen].tolist())).limit(_QUERIES).to_arrow()
    queries, own = embeddings_of(asked[EMBEDDING]).astype(np.float32), asked["sentence"].to_numpy()  # (Q, D), (Q,)
    exact = yield from exact_hits(connection, table, about, queries, k=FIRST + _COPIES, doing="finding exact hits")
    found = wanted = 0
    for number, query in enumerate(queries):
        yield Progress("measuring recall", number, len(queries), "queries")
        with connection.errors():
            hits = nearest_of(table, query, k=FIRST + _COPIES, how=how, columns=["row", "sentence"])
        first, theirs = (
            rows[sentences != own[number]][:FIRST]
            for rows, sentences in (
                (exact.rows[number], exact.sentences[number]),
                (hits["row"].to_numpy(), hits["sentence"].to_numpy()),
            )
        )
        found, wanted = found + len(np.intersect1d(first, theirs)), wanted + len(first)
    return found / max(1, wanted)


def exact_hits(
    connection: Connection, table: Any, about: About, queries: NDArray[np.float32], *, k: int, doing: str
) -> Steps[ExactHits]:
    """Find the nearest rows of many queries, (Q, D), in a single pass over all embeddings of a store.

    K is `k`, or the number of captions if that is less.

    Raises:
        AssetError: The store cannot be read.
    """
    k, wanted = min(k, about.captions), torch.from_numpy(queries)  # (Q, D)
    wanted = wanted / wanted.norm(dim=1, keepdim=True)
    best = torch.full((len(queries), k), -torch.inf)  # (Q, K)
    rows, sentences = torch.zeros((2, len(queries), k), dtype=torch.int64)  # (Q, K) each
    done = 0
    with connection.errors():
        for batch in table.search().select(["row", "sentence", EMBEDDING]).limit(about.captions).to_batches(_ROWS):
            embeddings = torch.from_numpy(embeddings_of(batch[EMBEDDING]).astype(np.float32))  # (B, D)
            with torch.inference_mode():
                cosines = wanted @ (embeddings / embeddings.norm(dim=1, keepdim=True)).T  # (Q, B)
                near, places = cosines.topk(min(k, cosines.shape[1]), dim=1)  # (Q, up to K)
                best, order = torch.cat([best, near], dim=1).sort(dim=1, descending=True, stable=True)
                best = best[:, :k]
                rows, sentences = (
                    torch.cat([known, torch.from_numpy(batch[name].to_numpy().copy())[places]], dim=1).gather(1, order)[
                        :, :k
                    ]
                    for name, known in (("row", rows), ("sentence", sentences))
                )
            done += len(embeddings)
            yield Progress(doing, done, about.captions, "captions")
    return ExactHits(rows.numpy(), best.numpy(), sentences.numpy())
