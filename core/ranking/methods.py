"""Methods: the names of the methods that rank captions."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Method: TypeAlias = Literal["infersent", "words", "bm25", "context", "fused"]
METHODS: tuple[Method, ...] = get_args(Method)
"""`infersent`: the encoder. `words`: idf-weighted mean word vectors. `bm25`: BM25 over stems. `context`: the encoder,
with the query moved towards captions that share its words. `fused`: infersent, words and bm25 combined."""
Choice: TypeAlias = Method | Literal["auto"]
CHOICES: tuple[Choice, ...] = (*METHODS, "auto")
"""What a user may choose; `auto` is the method that the calibration found best at the query's length."""
