"""Tokenizer: splits a text into tokens as in the training of InferSent."""

from __future__ import annotations

import os
import re
import sys
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

MARKS: dict[int, tuple[str, str]] = {1: ("<s>", "</s>"), 2: ("<p>", "</p>")}
"""The first and last token of every sentence, by InferSent version."""

# A text of plain words and commas with at most one full stop, at its end, is split here without NLTK, which would also
# split it at blanks, before a comma with a blank after it, and before the stop, with any punkt data. Texts with a word
# that NLTK divides are the exception.
_PLAIN = re.compile(r"(?!.*--)(?:[A-Za-z0-9 -]|,(?= ))*[A-Za-z0-9-] *(?:\. *)?", re.ASCII)
_DIVIDED_WORDS = ("cannot", "gimme", "gonna", "gotta", "lemme", "wanna")


class Tokenizer:
    """NLTK's `word_tokenize`; case is kept. For version 2 of InferSent, `do n't` becomes `don 't`.

    Args:
        version: InferSent version, 1 or 2.
    """

    def __init__(self, version: int) -> None:
        if version not in MARKS:
            raise ValueError(f"InferSent version must be 1 or 2, not {version!r}")
        self.version = version
        self.marks = MARKS[version]

    def tokenize(self, text: str) -> list[str]:
        """Split a text into tokens, without the two sentence marks."""
        if not text.strip():
            return []
        if _PLAIN.fullmatch(text) and not _has_divided_words(text):
            return text.replace(",", " , ").replace(".", " . ").split()
        words = [word for sentence in self._sentences.tokenize(text) for word in self._words.tokenize(sentence)]
        if self.version == 2 and "n't" in words:
            words = " ".join(words).replace(" n't ", "n 't ").split()
        return words

    @cached_property
    def name(self) -> str:
        """The tokenizer's name in recipes and `doctor`: its sentence splitter and NLTK's version."""
        data = "punkt_tab" if self._has_punkt_data else "untrained punkt"
        return f"word_tokenize ({data}, nltk {version('nltk')})"

    def warm_up(self) -> None:
        """Import NLTK now, which takes a second, rather than when the first text needs it."""
        _ = self._sentences, self._words

    @cached_property
    def _has_punkt_data(self) -> bool:
        folders = [folder / "tokenizers" for folder in data_folders()]
        if any((place / "punkt_tab.zip").exists() for place in folders):
            import nltk

            try:
                nltk.data.find("tokenizers/punkt_tab/english/")
            except LookupError:
                return False
            return True
        return any((place / "punkt_tab" / "english").is_dir() for place in folders)

    @cached_property
    def _sentences(self) -> Any:
        from nltk.tokenize import PunktSentenceTokenizer, PunktTokenizer

        return PunktTokenizer("english") if self._has_punkt_data else PunktSentenceTokenizer()

    @cached_property
    def _words(self) -> Any:
        from nltk.tokenize import NLTKWordTokenizer

        return NLTKWordTokenizer()


def _has_divided_words(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in _DIVIDED_WORDS)  # also inside other words, which costs only time


def data_folders() -> list[Path]:
    """Return the folders of `nltk.data.path` without importing NLTK, which takes a second."""
    if "nltk" in sys.modules:
        import nltk

        return [Path(folder) for folder in nltk.data.path]
    configured = [Path(folder).expanduser() for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    private = [Path(f"{place}/nltk_data") for place in ("~", sys.prefix, f"{sys.prefix}/share", f"{sys.prefix}/lib")]
    shared = [Path(f"/usr/{place}/nltk_data") for place in ("share", "local/share", "lib", "local/lib")]
    return [*configured, *(folder.expanduser() for folder in private), *shared]
