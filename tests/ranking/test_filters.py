"""Filters are read as people write them, and keep the captions that meet all of their conditions."""

import datetime
import json
import re
from decimal import Decimal
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Files

from core.corpus.captions import Captions
from core.explorer import Explorer
from core.ranking.filters import Condition, Filter, FilterError
from core.ranking.masks import Masks
from core.ranking.methods import Method
from core.ranking.regions import Region, Regions
from core.store.progress import finish

ROWS = [
    ("a.jpg", "A dog runs over the wet grass.", 3, "outdoor", "2.5"),
    ("a.jpg", "Two dogs play.", 1, "Outdoor", "x"),
    ("b.jpg", "a red bus stops by a DOG", 2, "street", "10"),
    ("c.jpg", "Straße with a red, parked bus", 7, "street", ""),
]


@pytest.fixture
def captions(tmp_path: Path) -> Captions:
    path = tmp_path / "mine.tsv"
    lines = ["image\tcaption\tstars\tkind of place\tmixed", *("\t".join(map(str, row)) for row in ROWS)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return Captions.read(path)


def kept(captions: Captions, text: str) -> list[int]:
    rows: list[int] = np.flatnonzero(Masks(captions).mask(Filter.parse(text))).tolist()
    return rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("dog", [0, 2]),
        ("-dog", [1, 3]),
        ("strasse", []),
        ("STRASSE", []),
        ("straße", [3]),
        ('"red bus"', [2]),
        ("red bus", [2, 3]),
        ("/dogs?/", [0, 1, 2]),
        (r"/^a\b.*\.$/", [0]),
        ("length<4", [1]),
        ("length>=6 -length:7", [3]),
        ("length:7", [0, 2]),
        ("image:a.jpg", [0, 1]),
        ("image:a.jpg dog", [0]),
        ("stars>2", [0, 3]),
        ("stars:2", [2]),
        ("stars=2.0", [2]),
        ("stars:two", []),
        ("stars<=2 -stars<2", [2]),
        ('"kind of place":outdoor', [0, 1]),
        ('"kind of place":"STREET" bus', [2, 3]),
        ("mixed>3", [2]),
        ("mixed:x", [1]),
    ],
)
def test_a_filter_keeps_the_captions_that_meet_all_its_conditions(
    captions: Captions, text: str, rows: list[int]
) -> None:
    assert kept(captions, text) == rows


def test_a_region_is_named_by_its_number_or_one_of_its_words(captions: Captions) -> None:
    regions = Regions(
        np.array([1, 2, 1, 0], np.int16), (Region(1, ("dog", "bus"), 2, 0), Region(2, ("dogs", "play"), 1, 1))
    )
    masks = Masks(captions, lambda: regions)
    for text, rows in {
        "region:1": [0, 2],
        "region:PLAY": [1],
        "-region:dog": [1, 3],
        "region:2 length<4": [1],
        "region:dog red": [2],
        "region:1,2": [0, 1, 2],
        'region:"dogs · play"': [1],
    }.items():
        among = Filter.parse(text)
        masks.check(among)
        assert np.flatnonzero(masks.mask(among)).tolist() == rows
    german = Regions(np.array([1, 1, 1, 1], np.int16), (Region(1, ("straße", "κόσμος"), 4, 0),))
    for text in ("region:straße", "region:STRASSE", "region:ΚΌΣΜΟΣ"):
        assert Masks(captions, lambda: german).mask(Filter.parse(text)).all()
    for text in ("region:3", "region:0", "region:do", "-region:cat"):
        with pytest.raises(FilterError, match="there are 1 dog · bus, 2 dogs · play"):
            masks.check(Filter.parse(text))
    among = Filter.parse('"the region:1 sign" -region:2 region:"dogs · play"\t/a region:1/ dog')
    assert among.without("region") == ['"the region:1 sign"', "/a region:1/", "dog"]
    with pytest.raises(FilterError, match="regions have no order"):
        Filter.parse("region>=2")
    with pytest.raises(FilterError, match="not known yet; open the map"):
        Masks(captions).check(Filter.parse("dog region:1"))
    Masks(captions).check(Filter.parse("dog region:1").of_file())


def test_every_caption_meets_a_filter_without_conditions(captions: Captions) -> None:
    assert kept(captions, "  ") == [0, 1, 2, 3]


def test_no_condition_of_a_filter_is_searched_twice(captions: Captions, monkeypatch: pytest.MonkeyPatch) -> None:
    masks, searched, meet = Masks(captions), list[str](), Masks._meet

    def count(masks: Masks, condition: Condition) -> object:
        searched.append(condition.value)
        return meet(masks, condition)

    monkeypatch.setattr(Masks, "_meet", count)
    for text in ("dog -/bus/", "-/bus/ dog is:bookmarked", "dog -is:bookmarked", "dog bus"):
        masks.mask(Filter.parse(text).with_bookmarks([1]))
    assert searched == ["dog", "bus", "bus"], "one is a pattern that has no captions, one a word"


def test_threads_that_ask_at_once_get_their_own_masks(captions: Captions) -> None:
    masks, wrong = Masks(captions), list[str]()

    def ask(text: str, rows: list[int]) -> None:
        for _ in range(2000):
            if np.flatnonzero(masks.mask(Filter.parse(text))).tolist() != rows:
                wrong.append(text)

    threads = [Thread(target=ask, args=each) for each in (("dog", [0, 2]), ("-dog", [1, 3]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_filter_of_very_many_conditions_is_refused() -> None:
    Filter.parse("dog " * 32)
    with pytest.raises(FilterError, match="more than 32 conditions"):
        Filter.parse("dog " * 33)


def test_bookmarks_are_those_of_the_moment(captions: Captions) -> None:
    masks = Masks(captions)
    for rows in ([1], [1, 3], []):
        mask = masks.mask(Filter.parse("is:bookmarked").with_bookmarks(rows))
        assert np.flatnonzero(mask).tolist() == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:", "a: is no condition"),
        ('dog "', '" is no condition'),
        ("//", "// is no condition"),
        ("- cat", "- is no condition"),
        ("stars<many", "many is no number"),
        ("stars>nan", "nan is no number"),
        ("length:short", "a length is a number of words"),
        ("is:odd", "is:bookmarked is one"),
        ("dog \udcff", "half of a character"),
        ("/\ud83d/", "half of a character"),
    ],
)
def test_what_is_no_condition_is_named(text: str, said: str) -> None:
    with pytest.raises(FilterError, match=re.escape(said)):
        Filter.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("/a(/", "no regular expression: missing"), ("colour:red", "no such column; there are image, stars")],
)
def test_what_these_captions_cannot_answer_is_said(captions: Captions, text: str, said: str) -> None:
    with pytest.raises(FilterError, match=said):
        kept(captions, text)


def test_bytes_and_objects_are_no_columns_to_compare_with(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    columns = {
        "caption": ["a dog runs", "a cat sits"],
        "raw": [b"\xff", b"a"],
        "at": [{"x": 1}, {"x": 2}],
        "n": [1, None],
    }
    pq.write_table(pa.table(columns), path)
    captions = Captions.read(path)
    assert list(captions.columns) == ["n"]
    assert kept(captions, "n:1") == [0]


def test_objects_of_differing_shape_are_no_column_either(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    lines = [{"caption": "a dog", "at": {"x": 1}, "n": 1}, {"caption": "a cat", "at": {"x": "q"}, "n": 2}]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert list(Captions.read(path).columns) == ["n"]


@pytest.fixture
def typed_columns(tmp_path: Path) -> Captions:
    path = tmp_path / "mine.parquet"
    columns = {
        "caption": ["a dog", "a cat", "a bus", "a man"],
        "author": pa.array([5, 2**60 + 1, 2**60, None], pa.int64()),
        "day": [datetime.date(2020, 1, 1), datetime.date(2020, 12, 31), datetime.date(2021, 5, 6), None],
        "at": [datetime.datetime(2020, 1, day, 7, 30) for day in (1, 2, 2, 3)],
        "price": [Decimal("2.50"), Decimal("3.00"), Decimal("0.10"), None],
        "cost": ["2.50", "3.00", "free", ""],
        "open": [True, False, True, None],
    }
    pq.write_table(pa.table(columns), path)
    return Captions.read(path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("author:5", [0]),
        (f"author:{2**60}", [2]),
        (f"author:{2**60 + 1}", [1]),
        ("author>5", [1, 2]),
        ("author:99999999999999999999999", []),
        ("day:2020-01-01", [0]),
        ("day:2020", [0, 1]),
        ("at:2020-01-02", [1, 2]),
        ("price:2.5", [0]),
        ("price:3", [1]),
        ("price<1", [2]),
        ("cost:2.5", [0]),
        ("cost:3", [1]),
        ("cost:FREE", [2]),
        ("open:true", [0, 2]),
    ],
)
def test_values_of_every_kind_are_compared_as_people_write_them(
    typed_columns: Captions, text: str, rows: list[int]
) -> None:
    assert kept(typed_columns, text) == rows


def test_times_have_no_greater_and_less(typed_columns: Captions) -> None:
    with pytest.raises(FilterError, match="this column has times; use day:2020-05"):
        kept(typed_columns, "day>2020")


def test_marks_belong_to_their_word(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("a cafe\na cafe\u0301\nहिन्दी भाषा\n", encoding="utf-8")
    captions = Captions.read(path)
    assert kept(captions, "cafe") == [0]
    assert kept(captions, "हिन") == []
    assert kept(captions, "हिन्दी") == [2]


def test_a_filter_is_a_value() -> None:
    assert Filter.parse("dog -/x/").conditions == (Condition("word", "dog"), Condition("pattern", "x", is_not=True))
    assert Filter.parse(" dog ") == Filter.parse("dog")


@pytest.mark.opened
@pytest.mark.parametrize("method", ["infersent", "words", "bm25", "context", "fused"])
@pytest.mark.parametrize("text", ["a dog on a beach", "a man"])
def test_a_filter_acts_before_the_first_hits_are_chosen(files: Files, method: Method, text: str) -> None:
    explorer = files.explorer(need="methods")
    finish(explorer.opened.open_methods())
    among = Filter.parse("-length:10 /n/")
    allowed = explorer.masks.mask(among)
    assert 20 < allowed.sum() < 280
    found = explorer.ask(text, method=method, among=among, k=15).found
    every = explorer.ask(text, method=method).found.order()
    wanted = [row for row in every.rows.tolist() if allowed[row]]
    if method != "fused":  # whose ranks are those among the kept captions
        assert found.leading.rows.tolist() == wanted[: len(found.leading)]
        assert found.order().rows.tolist() == wanted
    assert allowed[found.order().rows].all()
    assert len(found.leading) == min(15, len(found.order()))


@pytest.mark.opened
def test_the_verdict_is_about_all_captions_and_says_so(calibrated: Explorer) -> None:
    explorer = calibrated
    among = Filter.parse("dog")
    whole, part = explorer.ask("a dog on a beach").verdict, explorer.ask("a dog on a beach", among=among).verdict
    count = int(explorer.masks.mask(among).sum())
    assert (part.level, part.reasons[:-1]) == (whole.level, whole.reasons)
    assert part.reasons[-1] == f"· judged among all 300 captions, of which {count} meet the filter"


@pytest.mark.opened
@pytest.mark.parametrize("method", ["infersent", "bm25", "fused"])
def test_a_filter_that_keeps_nothing_leaves_no_hits(files: Files, method: Method) -> None:
    explorer = files.explorer(need="methods")
    finish(explorer.opened.open_methods())
    answer = explorer.ask("a dog on a beach", method=method, among=Filter.parse("/no such text/"))
    assert answer.found is not None
    assert len(answer.hits) == 0
    assert len(answer.found.order()) == 0


@pytest.mark.opened
@pytest.mark.parametrize("method", ["infersent", "words", "bm25", "context", "fused"])
def test_the_query_leads_its_list_beside_all_captions_that_meet_the_filter(files: Files, method: Method) -> None:
    explorer = files.explorer(need="methods")
    finish(explorer.opened.open_methods())
    among = Filter.parse("length>12")
    allowed = explorer.masks.mask(among)
    met = int(allowed.sum())
    assert 2 < met < 90, "fewer than the leading hits"
    row = int(np.flatnonzero(~allowed)[0])
    query = explorer.neighbours(row).query
    without = explorer.answer(explorer.complete(explorer.neighbours(row)).query, method=method)
    answer = explorer.answer(explorer.complete(explorer.neighbours(row)).query, method=method, among=among)
    assert query.row == row
    assert answer.hits.rows[0] == row
    others = answer.found.order().rows[1:]
    assert allowed[others].all()
    if method not in ("bm25", "fused"):  # which list only captions with a word of the query
        assert len(others) == met
        np.testing.assert_array_equal(answer.hits.rows[1:], others[: len(answer.hits) - 1])
    if answer.hits.scores is not None:
        assert answer.hits.scores[0] == pytest.approx(without.hits.scores[0])
        assert answer.hits.scores[0] > 0
    nothing = explorer.answer(answer.query, method=method, among=Filter.parse("/no such text/"))
    assert nothing.hits.rows.tolist() == [row]


@pytest.mark.opened
def test_those_within_a_distance_are_filtered_too(files: Files) -> None:
    explorer = files.explorer()
    among = Filter.parse("length>9")
    allowed = explorer.masks.mask(among)
    near = explorer.within(explorer.ask("a dog on a beach", among=among), 0.6)
    assert allowed[near.hits.rows].all()
    assert near.among == among
    row = int(np.flatnonzero(~allowed)[0])
    answer = explorer.ask(explorer.opened.captions.texts[row], among=among)
    every = explorer.within(answer, 2.0)
    assert sorted(every.hits.rows.tolist()) == sorted([row, *np.flatnonzero(allowed).tolist()])
