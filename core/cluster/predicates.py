"""Predicates: a filter in the words of a store, which answers as the masks of captions in memory do."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pyarrow as pa

from core.cluster.schema import About
from core.ranking.filters import Condition, Filter, FilterError

_NO_LETTER = r"[^\pL\pM\pN_]"
_EXACT = 2**53  # up to here, float64 holds every whole number
_BETWEEN = "\x1f"  # between the elements of a list, which have none of it


def predicate_of(among: Filter, about: About, columns: pa.Schema) -> str:
    """Return a filter as a predicate in SQL.

    Args:
        among: The filter, with at least one condition.
        about: What the store says of itself.
        columns: The columns of the store.

    Raises:
        FilterError: A condition asks for what the store does not have.
    """
    parts = []
    for each in among.conditions:
        met = rows_in(among.bookmarked) if each.field == "bookmark" else _condition(each, about, columns)
        parts.append(f"NOT coalesce({met}, false)" if each.is_not else f"({met})")
    return " AND ".join(parts)


def rows_in(rows: Iterable[int]) -> str:
    """Return the predicate of some rows."""
    listed = ", ".join(map(str, sorted(set(rows))))
    return f"row IN ({listed})" if listed else "false"


def sql_text(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def sql_value(value: int | str) -> str:
    """Return an id as SQL writes it."""
    return sql_text(value) if isinstance(value, str) else str(int(value))


def _condition(condition: Condition, about: About, columns: pa.Schema) -> str:
    match condition.field:
        case "word" | "phrase":
            words = r"\s+".join(map(re.escape, condition.value.split()))
            return _matching(f"(^|{_NO_LETTER}){words}($|{_NO_LETTER})")
        case "pattern":
            return _matching(condition.value)
        case "length":
            return f"CAST(words AS DOUBLE) {_operator(condition)} {_literal(float(condition.value))}"
        case "image":
            if about.images is None:
                raise FilterError("image: these captions have no images")
            name = sql_text(condition.value)
            return f"(CAST(image_id AS STRING) = {name} OR file_name = {name})"
        case "region":
            raise FilterError("region: of a store, the regions are those of its sample alone; use other conditions")
        case _:
            return _of_column(condition, about, columns)


def _matching(pattern: str) -> str:
    return f"regexp_like(caption, {sql_text(f'(?i){pattern}')})"


def _operator(condition: Condition) -> str:
    return "=" if condition.operator == ":" else condition.operator


def _of_column(condition: Condition, about: About, columns: pa.Schema) -> str:
    if condition.name not in about.columns:
        there = ", ".join(about.columns) or "none"
        raise FilterError(f"{condition.name}: there is no such column; there are {there}")
    name = f"column_{about.columns.index(condition.name)}"
    kind = columns.field(name).type
    if pa.types.is_list(kind):
        if condition.operator != ":":
            raise FilterError(f"{condition.name}: a store compares lists with texts alone; use {condition.name}:VALUE")
        texts = "|".join(map(re.escape, _written(condition.value, kind.value_type)))
        among = f"(?i)(^|{_BETWEEN})({texts})($|{_BETWEEN})"
        return f"regexp_like(array_to_string({name}, {sql_text(_BETWEEN)}), {sql_text(among)})"
    if pa.types.is_temporal(kind):
        if condition.operator != ":":
            asked = f"{condition.name}{condition.operator}"
            raise FilterError(f"{asked} compares numbers, and this column has times; use {condition.name}:2020-05, say")
        return f"starts_with(replace(CAST({name} AS STRING), 'T', ' '), {sql_text(condition.value)})"
    number = _number(condition.value)
    value_in_sql = f"TRY_CAST({name} AS DOUBLE)"
    if condition.operator != ":" and number is not None:
        return f"({value_in_sql} {condition.operator} {_literal(number)} AND NOT isnan({value_in_sql}))"
    same = f"lower(CAST({name} AS STRING)) = {sql_text(condition.value.lower())}"
    if number is None or math.isnan(number) or abs(number) > _EXACT:
        return f"({same})"
    return f"({same} OR {value_in_sql} = {_literal(number)})"


def _literal(number: float) -> str:
    """Return a number as SQL writes it."""
    return repr(number) if math.isfinite(number) else f"CAST('{number!r}' AS DOUBLE)"


def _written(value: str, kind: pa.DataType) -> list[str]:
    """Return how SQL writes the elements of a list that equal a value."""
    number = _number(value)
    if number is None or not math.isfinite(number):
        return [value]
    if pa.types.is_boolean(kind):
        return [value, *(["true"] if number == 1 else ["false"] if number == 0 else [])]
    return [value, repr(number), *([str(int(number))] if number.is_integer() else [])]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
