"""JSON text: parse documents, and values that follow each other or stand one a line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_BETWEEN = re.compile(r"[\s,]*")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        values: dict[str, list[Any]] = {}
        for name, value in pairs:
            values.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        result = {name: each if len(each) > 1 else result[name] for name, each in values.items()}
    return result


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_constant=lambda _: None)


def parse(text: str) -> Any:
    """Parse JSON; a number with a decimal point or an exponent stays as it is written, since it may be an id.

    A name that stands twice in an object keeps both values, in a list.

    Raises:
        ValueError: It is not valid JSON, or nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # Python's limit, whose message names a function
        raise ValueError("a number in it has thousands of digits") from error


def parse_sequence(text: str) -> list[Any]:
    """Parse JSON values that follow each other, with blanks, line breaks or commas between.

    Raises:
        ValueError: Something else stands between them, or one is cut off.
    """
    values: list[Any] = []
    at = 0
    try:
        while start := _BETWEEN.match(text, at):
            if start.end() == len(text):
                return values
            value, at = _DECODER.raw_decode(text, start.end())
            values.append(value)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return values


def looks_like_json(text: str) -> bool:
    """Tell whether a text begins as JSON does, or as Python writes a list or dict of texts."""
    return re.match(r"\s*(\[\s*[\[{\"']|\{\s*[\"'])", text) is not None


def looks_like_lines(lines: Sequence[str], *, also_texts: bool) -> bool:
    """Tell whether one of the first ten lines that are not blank is a JSON object or list, or also a text."""
    kinds = (dict, list, str) if also_texts else (dict, list)
    first = [line for line in lines[:100] if line.strip()][:10]
    for line in first:
        try:
            if isinstance(parse(line), kinds):
                return True
        except ValueError:
            continue
    return False
