"""Filters are read as people write them, and keep the captions that meet all of their conditions."""

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


def test_every_caption_meets_a_filter_without_conditions(captions: Captions) -> None:
    assert kept(captions, "  ") == [0, 1, 2, 3]


def test_no_condition_of_a_filter_is_searched_twice(captions: Captions) -> None:
    masks = Masks(captions)
    wanted = Filter.parse("dog -/bus/ is:bookmarked")
    assert not masks.is_known(wanted)
    masks.mask(wanted)
    for same in ("dog is:bookmarked -/bus/", "dog", "-is:bookmarked", ""):
        assert masks.is_known(Filter.parse(same).with_bookmarks([1])), same
    assert not masks.is_known(Filter.parse("dog bus"))
    masks.mask(Filter.parse("dog bus"))
    assert not masks.is_known(wanted), "only the latest filter is kept"


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
    with pytest.raises(FilterError, match=said.replace("/", "/")):
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
def test_neighbours_and_those_within_a_distance_are_filtered_too(files: Files) -> None:
    explorer = files.explorer()
    among = Filter.parse("length>9")
    allowed = explorer.masks.mask(among)
    row = int(np.flatnonzero(~allowed)[0])
    answer = explorer.complete(explorer.neighbours(row, among=among))
    assert answer.hits.rows[0] == row  # the query itself
    assert allowed[answer.hits.rows[1:]].all()
    near = explorer.within(explorer.ask("a dog on a beach", among=among), 0.6)
    assert allowed[near.hits.rows].all()
    assert near.among == among
