"""Method: the names of the ways to rank captions for a query."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Method: TypeAlias = Literal["infersent", "words", "bm25", "context", "fused"]
METHODS: tuple[Method, ...] = get_args(Method)
"""`infersent`: the encoder as it is. `words`: idf-weighted mean word vectors. `bm25`: BM25 over stems. `context`: the
encoder, the query moved towards captions that have its words. `fused`: infersent, words and bm25 together."""
Choice: TypeAlias = Method | Literal["auto"]
CHOICES: tuple[Choice, ...] = (*METHODS, "auto")
"""What a person may choose; `auto`: the method that the calibration found best at the query's length."""
