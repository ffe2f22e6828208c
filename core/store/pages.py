"""Pages: recognises the web pages that servers and proxies send in place of a file."""

from __future__ import annotations

import re

START_BYTES = 512
"""Bytes at the beginning of a file that are enough to recognise a page."""
_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*<(!doctype|!--|\?xml|(html|head|body|error)\b|[a-z][\w:.-]*(\s[^<>\x00-\x08]*)?(/?>|\Z))",
    re.IGNORECASE,
)
_PAGE_OF_TEXT = re.compile(r"\s*<(!doctype|\?xml|html|[a-z][\w:]*(\s[^<>]*)?>\s*(<|$))", re.IGNORECASE)


def is_page(start: bytes) -> bool:
    """Tell whether a file begins as an HTML or XML page does.

    Args:
        start: Its first bytes; of more than `START_BYTES`, the others are not looked at.
    """
    return _PAGE.match(start[:START_BYTES]) is not None


def is_page_of_text(text: str) -> bool:
    """Tell whether a text that should be captions is an HTML or XML page.

    Captions may begin with a tag, as in `<s>a dog</s>`: behind one, another tag or the end has to follow.
    """
    return _PAGE_OF_TEXT.match(text) is not None
