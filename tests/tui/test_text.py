"""Control characters are made visible instead of reaching the terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from screen_text import unsafe

from tui.text import drawable, short_number, visible

ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"  # a flag
ANY_TEXT = st.text(
    st.characters(codec=None)
    | st.characters(categories=["Mn", "Me", "Cf"])
    | st.sampled_from("\u200c\u200d\ufe0f\U0001f3fd\U0001f3f4\U000e0067\U000e007f\u1161")
)


@given(ANY_TEXT)
def test_no_character_is_left_that_controls_the_terminal(text):
    for shown in (visible(text), drawable(text)):
        assert not unsafe(shown)
        shown.encode("utf-8")


@given(ANY_TEXT)
def test_making_visible_twice_changes_nothing(text):
    assert visible(visible(text)) == visible(text)
    assert drawable(drawable(text)) == drawable(text)


FILLERS = "\u115f\u1160\u3164\uffa0\ufffc"  # letters and symbols that show nothing


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters=FILLERS)))
def test_ordinary_text_stays_as_it_is(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", "a␛[31mred"),
        ("one\ttwo\r\nthree", "one␉two␍␊three"),
        ("\x00\x7f", "␀␡"),
        ("\x9b2J", "\\u009b2J"),
        ("abc\u202edef", "abc\\u202edef"),
        ("line\u2028line", "line\\u2028line"),
        ("\ud800", "\\ud800"),
        ("[bold]markup[/]", "[bold]markup[/]"),
        ("שלום 🚲 é", "שלום 🚲 é"),
        ("do\u200bg do\u00adg \u3164", "do\\u200bg do\\u00adg \\u3164"),
        ("z" + "\u0301" * 7, "z" + "\u0301" * 7),
        ("z" + "\u0301\u20dd" * 50 + "a", "z" + "\u0301\u20dd" * 3 + "\u0301…a"),
        ("\u0628" + "\u064b\u200d" * 50, "\u0628" + "\u064b\u200d" * 3 + "\u064b…"),
        ("\u0e01" + "\u0e31" * 9, "\u0e01" + "\u0e31" * 7 + "…"),
        ("\u0915" + "\u093e" * 30, "\u0915" + "\u093e" * 7 + "…"),
        ("\u1100" + "\u1161" * 9 + "\u1161", "\u1100" + "\u1161" * 7 + "…"),
        ("a\U0001d165 b\U00011300\U00011301", "a\U0001d165 b\U00011300\U00011301"),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        ),
        ("a\U000e0068\U000e0069", "a\\U000e0068\\U000e0069"),
        ("🏴\U000e0069\U000e0067\U000e007f", "🏴\\U000e0069\\U000e0067\\U000e007f"),
        ("a\ufe01\U000e0101", "a\\ufe01\\U000e0101"),
        ("葛\U000e0100 ≨\ufe00", "葛\U000e0100 ≨\ufe00"),
        ("葛\U000e0100\U000e0101", "葛\U000e0100\\U000e0101"),
        ("ཀྵྨླྱྃ", "ཀྵྨླྱྃ"),
        ("do\u200dg dog\ufe0f \u200cdog", "do\\u200dg dog\\ufe0f \\u200cdog"),
        ("\u200ddog", "\\u200ddog"),
        *[(text, text) for text in ("1\ufe0f\u20e3 ❤\ufe0f ©\ufe0f 👩\u200d🚀", "می\u200cخواهم", "क\u094d\u200dष")],
        ("\ufdd0\uffff\U0010ffff", "\\ufdd0\\uffff\\U0010ffff"),
        ("", ""),
    ],
)
def test_each_kind_of_character_has_its_picture(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("a ❤\ufe0f b", "a ❤ b"),
        ("👨\u200d👩\u200d👧 here", "👨👩👧 here"),
        ("🏳\ufe0f\u200d🌈", "🏳🌈"),
        ("👍🏽", "👍"),
        ("葛\U000e0100 ≨\ufe00", "葛 ≨"),
        ("🇫🇷 砂浜 नमस्ते", "🇫🇷 砂浜 नमस्ते"),
    ],
)
def test_what_is_drawn_has_as_many_cells_as_its_characters_one_by_one(text, drawn):
    assert drawable(text) == drawn
    marks = ("Mn", "Me")
    cells = [1 + (unicodedata.east_asian_width(c) in "WF") for c in drawn if unicodedata.category(c) not in marks]
    assert cell_len(drawn) == sum(cells)


@pytest.mark.parametrize(
    ("number", "short"),
    [
        *[(0, ".000"), (0.0484, ".048"), (0.4431, ".443"), (0.9994, ".999"), (0.9996, "1.00"), (1.018, "1.02")],
        *[(9.996, "10.0"), (23.44, "23.4"), (99.96, "100"), (1234.0, "1234")],
    ],
)
def test_a_distance_or_score_has_at_most_four_cells(number, short):
    assert short_number(number) == short
