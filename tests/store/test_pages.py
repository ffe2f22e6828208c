"""Web pages are told from files that begin like one."""

from __future__ import annotations

import pytest

from core.store.pages import is_page, is_page_of_text

PAGES = [
    *(
        b"<!DOCTYPE html><p>",
        b"\xef\xbb\xbf\r\n <HTML lang='en'>",
        b"<?xml version='1.0'?><Error>",
        b"<!-- 404 --><html>",
    ),
    *(
        b"<Error><Code>AccessDenied</Code>",
        b"<h1>Not Found</h1>",
        b"<center>",
        b"<br/>",
        b"<a href='/login'>log in</a>",
    ),
    *(b"<html " + b"x" * 9999, b"<meta http-equiv='refresh' content='0; url=/login?next=/file", b"<ns:fault >"),
    # So may word vectors begin: their reader asks only where a line has no numbers.
    *(b"<unk> 0.1 0.2\n", b"<s> 0.1 0.2\n", b"<pad>\t1"),
]
FILES = [
    *(b"", b"<", b"<3 this", b"< 1 2", b"a <html>", b"PK\x03\x04", b"\x80\x02}q\x00.", b"{", b"the 0.1 0.2\n"),
    *(b"<\x01\0\0\0\0\0\0" + b'{"a":{"dtype":', b"<a\0\0\0\0\0\0" + b'{"a":{"dtype":', b"<b \x01\0\0\0\0\0\0\0"),
]


@pytest.mark.parametrize("start", PAGES)
def test_a_page_is_recognised(start: bytes) -> None:
    assert is_page(start)


@pytest.mark.parametrize("start", FILES)
def test_other_files_are_none(start: bytes) -> None:
    assert not is_page(start)


@pytest.mark.parametrize(
    "page", ["\n<!DOCTYPE html>", "<?xml version='1.0'?>", "<HTML>", "<center>\n<h1>404</h1>", "<br>"]
)
def test_a_page_in_place_of_captions_is_recognised(page: str) -> None:
    assert is_page(page.encode())
    assert is_page_of_text(page)


@pytest.mark.parametrize("captions", ["<s>a dog</s>\n<s>a cat</s>", "<start> a dog", "<person> rides a <vehicle>"])
def test_captions_may_begin_with_a_tag(captions: str) -> None:
    assert is_page(captions.encode())
    assert not is_page_of_text(captions)
