"""Masks: turn filters into the captions that meet them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.assets import first_names
from core.corpus.captions import Captions
from core.ranking.filters import Condition, Filter, FilterError
from core.ranking.regions import Regions

_NO_LETTER = r"[^\pL\pM\pN_]"  # RE2's \b knows the letters of English alone
_EXACT = 2**53  # up to here, float64 holds every whole number
_MOST_NAMES = 10  # of columns, in an error
_COMPARISONS: dict[str, Callable[[Any, float], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Masks:
    """Finds the captions that meet a filter. `regions` returns their regions, or None while those are not known."""

    def __init__(self, captions: Captions, regions: Callable[[], Regions | None] = lambda: None) -> None:
        self._captions, self._regions = captions, regions
        self._met: dict[Condition, NDArray[np.bool_]] = {}  # (N,) each: the conditions of the latest filter

    def check(self, wanted: Filter) -> None:
        """Check that a filter asks for what these captions have.

        Raises:
            FilterError: A regular expression is none, or there is no such column or region.
        """
        few = Captions(
            name="",
            texts=[""],
            ids=self._captions.ids[:1],
            groups=None if self._captions.groups is None else self._captions.groups[:1],
            file_names={},
            urls={},
            columns={name: values[:1] for name, values in self._captions.columns.items()},
        )
        for each in wanted.conditions:
            if each.field == "region":
                self._numbers_of(each.value)
        Masks(few).mask(wanted.of_file())

    def mask(self, wanted: Filter) -> NDArray[np.bool_]:
        """Return which captions meet a filter, (N,). Threads may ask at once.

        Raises:
            FilterError: A regular expression is none, or there is no such column or region.
        """
        known, meet = self._met, np.ones(len(self._captions), bool)  # (N,)
        met = {each: known[each] if each in known else self._meet(each) for each in _lasting(wanted)}
        self._met = met
        for each in wanted.conditions:
            meet &= (met[each] if each in met else self._marked(wanted.bookmarked)) ^ each.is_not
        return meet

    def _marked(self, rows: frozenset[int]) -> NDArray[np.bool_]:
        marked = np.zeros(len(self._captions), bool)  # (N,)
        marked[list(rows)] = True
        return marked

    def _meet(self, condition: Condition) -> NDArray[np.bool_]:
        """Return which captions meet a condition, (N,), were it not negated."""
        match condition.field:
            case "word" | "phrase":
                words = r"\s+".join(map(re.escape, condition.value.split()))
                return self._matching(f"(^|{_NO_LETTER}){words}($|{_NO_LETTER})", condition.value)
            case "pattern":
                return self._matching(condition.value, f"/{condition.value}/")
            case "length":
                return _compare(self._lengths, condition)
            case "image":
                return self._of_image(condition.value)
            case "region":
                return np.isin(self._known_regions.of, self._numbers_of(condition.value))
            case "column":
                return self._of_column(condition)
            case "bookmark":
                raise ValueError("bookmarks are no property of the captions")

    def _matching(self, pattern: str, shown: str) -> NDArray[np.bool_]:
        try:
            return _numpy(pc.match_substring_regex(self._texts, pattern, ignore_case=True))
        except pa.ArrowInvalid as error:
            reason = str(error).removeprefix("Invalid regular expression: ")
            raise FilterError(f"{shown} is no regular expression: {reason}") from error

    def _of_image(self, name: str) -> NDArray[np.bool_]:
        groups = self._captions.groups
        if groups is None:
            raise FilterError("image: these captions have no images")
        images = [str(image) for image, file in self._captions.file_names.items() if file == name]
        return np.isin(groups.astype(str), [name, *images])

    @property
    def _known_regions(self) -> Regions:
        regions = self._regions()
        if regions is None:
            raise FilterError("region: the regions are not known yet; open the map, which finds them")
        return regions

    def _numbers_of(self, name: str) -> list[int]:
        """Return the numbers of regions, which are named by number, by name or by a word of it, with commas between."""
        regions, found = self._known_regions.regions, list[int]()
        for wanted in map(str.strip, name.casefold().split(",")):
            named = [
                each.number
                for each in regions
                if wanted in (str(each.number), *map(str.casefold, (*each.words, each.name)))
            ]
            if not named:
                there = first_names([f"{each.number} {each.name}" for each in regions], len(regions))
                raise FilterError(f"region:{name}: there is no such region; there are {there or 'none'}")
            found += named
        return found

    def _of_column(self, condition: Condition) -> NDArray[np.bool_]:
        columns = self._captions.columns
        if condition.name not in columns:
            there = first_names(list(columns), _MOST_NAMES)
            raise FilterError(f"{condition.name}: there is no such column; there are {there or 'none'}")
        return _compare(columns[condition.name], condition)

    @cached_property
    def _texts(self) -> pa.Array:
        return pa.array(self._captions.texts, pa.string())

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        """Words of each caption, (N,)."""
        return _numpy(pc.list_value_length(pc.utf8_split_whitespace(self._texts)))


def _lasting(wanted: Filter) -> list[Condition]:
    """Return the conditions that do not depend on the bookmarks of the moment."""
    return [condition for condition in wanted.conditions if condition.field != "bookmark"]


def _compare(values: Any, condition: Condition) -> NDArray[np.bool_]:
    """Compare the values of a column, (N,), with that of a condition; a missing value meets none, (N,)."""
    array = values if isinstance(values, pa.Array) else pa.array(values)  # (N,)
    if pa.types.is_list(array.type):  # one of its elements
        meet = np.zeros(len(array), bool)  # (N,)
        parents = _numpy(pc.list_parent_indices(array))  # (elements,)
        meet[parents[_compare(pc.list_flatten(array), condition)]] = True
        return meet
    if pa.types.is_temporal(array.type):
        if condition.operator != ":":
            asked = f"{condition.name}{condition.operator}"
            raise FilterError(f"{asked} compares numbers, and this column has times; use {condition.name}:2020-05, say")
        return _numpy(pc.starts_with(array.cast(pa.string()), condition.value))
    if condition.operator == ":":
        return _equal(array, condition.value)
    meets: NDArray[np.bool_] = _COMPARISONS[condition.operator](_numbers(array), float(condition.value))  # (N,)
    return meets


def _equal(array: pa.Array, value: str) -> NDArray[np.bool_]:
    """Compare as numbers where both are, else as texts, without regard to case."""
    texts = pc.utf8_lower(array.cast(pa.string()))  # (N,); whole numbers are exact so
    meet = _numpy(pc.equal(texts, value.lower()))  # (N,)
    number = _number(value)
    return meet if number is None or abs(number) > _EXACT else meet | (_numbers(array) == number)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(array: pa.Array) -> NDArray[np.float64]:
    """Return the values of a column as numbers, (N,); nan for those that are none."""
    import pandas as pd  # slow to import

    numbers: NDArray[np.float64] = pd.to_numeric(array.to_pandas(), errors="coerce").to_numpy(np.float64)
    return numbers


def _numpy(array: Any) -> NDArray[Any]:
    """Return an Arrow array as one of NumPy, with false or 0 where it has no value."""
    found: NDArray[Any] = pc.fill_null(array, False if pa.types.is_boolean(array.type) else 0).to_numpy(
        zero_copy_only=False
    )
    return found
