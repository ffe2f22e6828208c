"""A filter lets the same captions through in a store as in memory."""

import json
from dataclasses import replace

import pytest
from conftest import demo_texts, make_files
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.conftest import explore, store_of
from core.ranking.filters import Filter, FilterError

_TEXTS = [
    "O'Brien's dog",
    "a.b (c) [d] \\ e",
    "Ein Hündchen LÄUFT",
    'a "quoted" dog',
    "naïve 50% of_it",
    "狗 a dog",
    "dog\tcat",
]
_WORDS = [
    "dog",
    "Dog",
    "a",
    "o'brien's",
    "a.b",
    "(c)",
    "[d]",
    "hündchen",
    "läuft",
    "50%",
    "of_it",
    "狗",
    "nosuch",
    "on",
]
_VALUES = [
    "1",
    "2.0",
    "10",
    "x",
    "X",
    "1e1",
    "true",
    "blue",
    "a b",
    "it's",
    "2020",
    "2020-05",
    "-1",
    "é",
    "nan",
    "inf",
    "1.0",
    "0",
    "2020-03-01",
    "2020-03-01 10",
    "9007199254740993",
]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same captions in memory and in a store, with columns of several kinds."""
    folder = tmp_path_factory.mktemp("columns")
    texts = [*_TEXTS, *demo_texts(60)]
    files = make_files(folder, texts)
    rows = [
        {
            "text": text,
            "image_id": f"{i // 3}.jpg",
            "n": [1, 2.0, None, 10, -1, 9007199254740993, 0.5][i % 7],
            "s": ["x", "X", "10", "1e1", "blue", None, "it's", "É", "a b"][i % 9],
            "flag": i % 2 == 0,
            "f": [float("nan"), 1.5, None, 3.0, float("inf")][i % 5],
            "when": [f"2020-0{1 + i % 7}-01T10:00:00", None][i % 9 == 8],
            "ints": [[1, 2], [], [10], None][i % 4],
            "bools": [[True], [False, True], None][i % 3],
            "tags": [["blue", "x"], [], ["a b"], ["10"], None][i % 5],
        }
        for i, text in enumerate(texts)
    ]
    path = folder / "captions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    files = replace(files, captions=path)
    local = files.explorer()
    return local, explore(files, store_of(local.opened, folder / "store"))


def quoted(text: str) -> str:
    return f'"{text}"' if " " in text or not text[0].isalnum() else text


CONDITIONS = st.one_of(
    st.sampled_from(_WORDS).map(quoted),
    st.sampled_from(["/d.g/", "/^a/", "/[A-Z]'/", "/\\d+%/", "/dog$|cat/", "/\\bdog\\b/"]),
    st.tuples(st.sampled_from(["<", "<=", ">", ">=", ":"]), st.integers(0, 12)).map(
        lambda each: f"length{each[0]}{each[1]}"
    ),
    st.integers(0, 9).map(lambda number: f"image:{number}.jpg"),
    st.tuples(
        st.sampled_from(["n", "s", "flag", "image_id", "f", "ints", "bools", "when"]), st.sampled_from(_VALUES)
    ).map(lambda each: f"{each[0]}:{quoted(each[1])}"),
    st.sampled_from(["blue", "x", "10", "a b", "Blue"]).map(lambda value: f"tags:{quoted(value)}"),
    st.tuples(
        st.sampled_from(["n", "s", "f", "length"]),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.sampled_from(["1", "2", "-1", "9.5", "inf", "1e20"]),
    ).map("".join),
)
FILTERS = st.lists(st.tuples(st.booleans(), CONDITIONS), min_size=1, max_size=4).map(
    lambda parts: " ".join(f"-{text}" if is_not else text for is_not, text in parts)
)


@settings(max_examples=200, deadline=None)
@given(FILTERS)
def test_any_filter_lets_the_same_captions_through(both, text):
    local, stored = both
    try:
        among = Filter.parse(text)
        expected = local.allowed(among)
    except FilterError:
        return
    found = stored.allowed(among)
    rows = stored.opened.matrix.rows._rows.where(found.predicate, most=1000)["row"].to_pylist()
    assert sorted(rows) == expected.mask.nonzero()[0].tolist(), found.predicate
    assert found.count == expected.count
