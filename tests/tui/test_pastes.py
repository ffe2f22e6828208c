"""A paste is one text, whatever it holds and however it comes; keys before and after it stay keys."""

from hypothesis import given
from hypothesis import strategies as st
from textual.events import Key, Paste

from tui.pastes import PasteParser

PIECES = st.lists(
    st.sampled_from(["a", " ", "\x1b", "[", "2", "0", "1", "~", "\x03", "\x11", "\x1b[31m", "\x1b[20", "\x1b[A", "é"]),
    max_size=12,
)


def keys(text: str) -> list[str]:
    return [event.key for event in PasteParser().feed(text) if isinstance(event, Key)]


@given(PIECES.map("".join), st.lists(st.integers(1, 20), max_size=8))
def test_a_paste_is_its_text_with_escape_characters_by_their_picture_in_whatever_parts_it_comes(text, sizes):
    text = text.replace("\x1b[201~", "")
    parser, found = PasteParser(), []
    sent = f"x\x1b[200~{text}\x1b[201~y"
    for size in [*sizes, len(sent)]:
        part, sent = sent[:size], sent[size:]
        found += parser.feed(part) if part else []
    assert [event.key for event in found if isinstance(event, Key)] == ["x", "y"]
    pasted = [event.text for event in found if isinstance(event, Paste)]
    assert pasted == [text.replace("\x1b", "␛")]


@given(st.lists(st.sampled_from(["a", "\x1b[A", "\x1b[1;5C", "\x1b[3~", "\x7f"]), max_size=6).map("".join))
def test_keys_are_as_before(text):
    from textual._xterm_parser import XTermParser

    assert [repr(event) for event in PasteParser().feed(text)] == [repr(event) for event in XTermParser().feed(text)]
    assert keys(f"\x1b[200~x\x1b[201~{text}b")[-1] == "b"


def test_an_escape_key_does_not_wait_for_what_follows():
    parser = PasteParser()
    assert not list(parser.feed("\x1b"))
    assert [event.key for event in parser.feed("[A")] == ["up"]
    list(parser.feed("\x1b[20"))
    assert [event.text for event in parser.feed("0~\x1b[31m\x1b[201~b") if isinstance(event, Paste)] == ["␛[31m"]


def test_an_escape_key_that_others_follow_at_once_is_no_sign_in_the_box():
    assert keys("\x1b/\x1b[200~a red dog\x1b[201~") == ["escape", "slash"]
    assert keys("\x1br\x1b[A") == ["escape", "r", "up"]
    assert keys("\x1b/" + 40 * "a") == ["escape", "slash", *"a" * 40]
    assert keys("^a\x1b[A") == ["circumflex_accent", "a", "up"]
