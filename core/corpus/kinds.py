"""Kinds: what the values of a column are, so that no number, file name, address or hash is taken for a caption."""

from __future__ import annotations

import ast
import json
import random
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from math import isnan
from typing import Any, Literal

# What Python has to say of texts that it reads as its own, it would say in the terminal, with their control characters.
for _category in (SyntaxWarning, DeprecationWarning):
    warnings.filterwarnings("ignore", category=_category, module="<unknown>")

Kind = Literal["empty", "number", "code", "file", "word", "text", "list", "object", "mixed"]
"""`code`: a hash, an id, a date or another single token with digits; `file`: a file name, path or URL; `word`: a single
word; `text`: several words; `list` and `object`: a JSON list or object."""

REFERENCES: tuple[Kind, ...] = ("number", "code", "file")
"""Kinds that stand for a row or an image, and are no captions."""

_SAMPLE = 1000  # values that tell the kind of a column
_NEARLY_ALL = 0.9
_LONG = 1000  # characters that tell the kind of a text
_ENDINGS = "jpe?g|png|gif|bmp|webp|tiff?|svg|ico|heic|avif|mp4|avi|mov|mkv|webm|wav|mp3|flac|txt|json|npy|pdf"
_PATTERNS: tuple[tuple[re.Pattern[str], Kind], ...] = (  # the first that fits tells the kind
    (re.compile(r"\[\s*([\['\"{\d.+-].*|None.*|null.*)?\]", re.DOTALL), "list"),
    (re.compile(r"\(\s*(['\"]).*\1\s*,?\s*\)|array\(\[.*\].*\)", re.DOTALL), "list"),
    (re.compile(r"\{.*\}", re.DOTALL), "object"),
    (re.compile(r"[-+]?[\d.,]*\d([eE][-+]?\d+)?\s*%?"), "number"),
    (re.compile(r"([a-zA-Z][\w+.-]*:)?//\S+|www\.\S+"), "file"),
    (re.compile(rf".{{0,250}}\.({_ENDINGS})(#\w+)?", re.IGNORECASE | re.DOTALL), "file"),
    (re.compile(r"(?=\D*\d)[-+\d\s.,:;/eETZ]+"), "code"),  # dates, several numbers
    (re.compile(r"\d+年\d+月\S*"), "code"),  # dates
    (re.compile(r"(?=\S*[/\\_@])\S+"), "code"),
)
_NO_BLANKS_BETWEEN_WORDS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]")  # Thai to Chinese
_NUMERIC = re.compile(r"[-+]?\d*\.?\d+([eE][-+]?\d+)?")


def kind_of(value: object) -> Kind:
    """Return the kind of one value."""
    if isinstance(value, str):
        return _kind_of_text(value.strip())
    if value is None or (isinstance(value, float) and isnan(value)):
        return "empty"
    if isinstance(value, bool | int | float):
        return "number"
    return "list" if isinstance(value, list | tuple) else "object"


def kind_of_column(values: Sequence[object]) -> Kind:
    """Return the kind of nine tenths of a sample of the values; a column of texts may hold single words too."""
    counts = Counter(map(kind_of, sample_of(values, _SAMPLE)))
    known = sum(counts.values()) - counts["empty"]
    if not known:
        return "empty"
    for kind in ("number", "file", "list", "object"):
        if counts[kind] >= _NEARLY_ALL * known:
            return kind
    if counts["number"] + counts["code"] + counts["file"] >= _NEARLY_ALL * known:
        return "code"
    if counts["text"] + counts["word"] >= _NEARLY_ALL * known:
        return "text" if counts["text"] >= counts["word"] else "word"
    return "mixed"


def sample_of(values: Sequence[Any], count: int) -> Sequence[Any]:
    """Return some of the values in their order, drawn by chance, since every fifth may be of another kind."""
    if len(values) <= count:
        return values
    return [values[i] for i in sorted(random.Random(0).sample(range(len(values)), count))]


def are_most(answers: Iterable[object]) -> bool:
    """Tell whether more than half of the answers are true."""
    truths = list(map(bool, answers))
    return 2 * sum(truths) > len(truths)


def is_label(values: Sequence[object]) -> bool:
    """Tell whether the values are few different ones, such as `train` and `val`."""
    return 5 * len(set(map(str, values))) <= len(values)


def parse_list(text: str) -> list[Any] | None:
    """Read a list as JSON or Python writes it, also a tuple or `array([...])`; None for another text.

    Texts without a comma between are refused: numpy writes `['a' 'b']`, which Python reads as `['ab']`.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        array = re.fullmatch(r"\s*array\((\[.*\])(, dtype=\w+)?\)\s*", text, re.DOTALL)
        try:
            value = ast.literal_eval(array[1] if array else text.strip())
            if repr(value) != text.strip() and re.search(r"""['"]\s+['"]""", text):
                return None
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
    return list(value) if isinstance(value, list | tuple) else None


def parse_object(text: str) -> dict[str, Any] | None:
    """Read a JSON object; None for another text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _kind_of_text(text: str) -> Kind:
    if not text:
        return "empty"
    if len(text) > _LONG:
        text = text[: _LONG - 1] + text[-1]
    for pattern, kind in _PATTERNS:
        if pattern.fullmatch(text):
            return kind
    words = text.split()
    if len(words) == 1:
        letters = len(_NO_BLANKS_BETWEEN_WORDS.findall(text))
        if re.search(r"\d", text):
            return "text" if letters > max(3, len(text) // 2) else "code"
        return "text" if len(text) > 3 and letters else "word"
    return "number" if 2 * sum(map(bool, map(_NUMERIC.fullmatch, words))) > len(words) + 1 else "text"
