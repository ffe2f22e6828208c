"""Methods: the names of the methods that rank captions."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Method: TypeAlias = Literal["infersent", "words", "bm25", "context", "fused", "against"]
METHODS: tuple[Method, ...] = get_args(Method)[:-1]
"""The methods of every corpus. `infersent`: the encoder. `words`: idf-weighted mean word vectors. `bm25`: BM25 over
stems. `context`: the encoder, with the query moved towards captions that share its words. `fused`: infersent, words and
bm25 combined."""
AGAINST: Method = "against"
"""The encoder that is opened beside the first, if there is one."""
_SHORT_NAMES: dict[Method, str] = {
    "infersent": "inf",
    "words": "wrd",
    "bm25": "bm25",
    "context": "ctx",
    "fused": "fus",
    "against": "2nd",
}
BY_WORDS: frozenset[Method] = frozenset({"bm25", "fused"})
"""The methods that find captions by words without a vector, too; they have scores in place of distances."""
Choice: TypeAlias = Method | Literal["auto"]
CHOICES: tuple[Choice, ...] = (*METHODS, AGAINST, "auto")
"""What a user may choose; `auto` is the method that the calibration found best at the query's length."""


def shown_name(choice: Choice, *, given: bool, short: bool = False) -> str:
    """Return the name that people read, `short` for narrow columns; `given` embeddings may be of any encoder."""
    if given and choice == "infersent":
        return "emb" if short else "embeddings"
    return _SHORT_NAMES[choice] if short and choice != "auto" else choice
