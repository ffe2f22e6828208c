"""Phrases: a caption as words and noun phrases, with the edits that its rules ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from core.query import Token
from core.trust import english

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


class Edit(NamedTuple):
    """A part of a text that is replaced."""

    start: int
    end: int
    new: str


class Phrase(NamedTuple):
    """A determiner, adjectives, and a noun that `english` knows."""

    first: int
    """Place of the determiner among the words."""
    head: int
    """Place of the noun."""
    noun: str
    """Its singular."""
    is_plural: bool


class _Word(NamedTuple):
    text: str  # in lower case
    start: int
    end: int


class Phrases:
    """A text as words with their places, and the noun phrases among them that are surely whole."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = [_Word(match[0].lower(), *match.span()) for match in _WORD.finditer(text)]
        self.content = [i for i, word in enumerate(self.words) if Token(word.text, True, 0.0).is_content]
        self.content = [i for i in self.content if not self._names_relation(i)]
        self.phrases = list(self._find())
        self._by_place = {phrase.first: phrase for phrase in self.phrases}

    def at(self, place: int) -> str:
        """Return a word in lower case; empty before the first and behind the last word."""
        return self.words[place].text if 0 <= place < len(self.words) else ""

    def next(self, place: int) -> str:
        """Return the word behind a word; empty where there is none or a sign is between them."""
        return self.at(place + 1) if self._is_joined(place + 1) else ""

    def before(self, place: int) -> str:
        """Return the word before a word; empty where there is none or a sign is between them."""
        return self.at(place - 1) if self._is_joined(place) else ""

    def sequence(self, *words: str) -> int | None:
        """Return the place of the first of some words that stand together; None where they do not."""
        for place in range(len(self.words) - len(words) + 1):
            behind = range(place + 1, place + len(words))
            if all(self.at(place + i) == word for i, word in enumerate(words)) and all(map(self._is_joined, behind)):
                return place
        return None

    def phrase_at(self, place: int) -> Phrase | None:
        """Return the noun phrase that begins at a place and belongs to the word before it."""
        return self._by_place.get(place) if self._is_joined(place) else None

    def is_adjective(self, place: int) -> bool:
        """Tell whether what stands behind or before a word shows that it describes something."""
        behind = self.next(place)
        return is_noun(behind) or behind in english.ADJECTIVES or self.before(place) in english.BE

    def written(self, place: int, end: int | None = None) -> str:
        """Return a word, or the words up to the one at `end`, as written."""
        return self.text[self.words[place].start : self.words[place if end is None else end].end]

    def replaced(self, place: int, new: str, *, end: int | None = None) -> Edit:
        """Replace a word, or the words up to the one at `end`; the new text gets the capital of the old one."""
        start, last = self.words[place].start, self.words[place if end is None else end].end
        return Edit(start, last, new[:1].upper() + new[1:] if self.text[start].isupper() else new)

    def exchanged(self, place: int, new: str) -> list[Edit]:
        """Replace a word by another, and make `a` before it `an`, or the other way round, where that is right."""
        return [*self._article(place, new), self.replaced(place, new)]

    def removed(self, place: int) -> list[Edit]:
        """Leave a word out, with the blank before it, or behind it where it is the first."""
        start, end = self.words[place].start, self.words[place].end
        if start and self.text[start - 1] == " ":
            start -= 1
        elif self.text[end : end + 1] == " ":
            end += 1
        article = self._article(place, self.next(place)) if self.next(place) and place + 1 in self.content else []
        return [*article, Edit(start, end, "")]

    def _article(self, place: int, new: str) -> list[Edit]:
        right = "an" if english.takes_an(new) else "a"
        return [self.replaced(place - 1, right)] if self.before(place) in {"a", "an"} - {right} else []

    def _is_joined(self, place: int) -> bool:
        """Tell whether only blanks are between a word and the one before it."""
        return 0 < place < len(self.words) and self.text[self.words[place - 1].end : self.words[place].start].isspace()

    def _names_relation(self, place: int) -> bool:
        """Tell whether a word is one like the second of `in front of`."""
        return self.at(place) in english.RELATIONS and self.next(place) in ("of", "to")

    def _find(self) -> Iterator[Phrase]:
        place = 0
        while place < len(self.words):
            phrase = self._phrase(place) if self.at(place) in english.DETERMINERS else None
            if phrase is not None:
                yield phrase
            place = place + 1 if phrase is None else phrase.head + 1

    def _phrase(self, first: int) -> Phrase | None:
        head = first + 1
        while self.at(head) in english.ADJECTIVES and self._is_joined(head) and self.next(head):
            head += 1
        while is_noun(self.at(head)) and is_noun(self.next(head)):
            head += 1  # a fire truck
        noun, behind = self.at(head), self.next(head)
        if not self._is_joined(head) or not is_noun(noun):
            return None
        if self.at(head - 1) == "hot" and noun in english.PARTS_OF_NAMES:
            return None
        if behind and not (behind in english.FOLLOWERS or behind.endswith(("ing", "ed", "s"))):
            return None  # perhaps the first part of a longer name
        is_plural = noun in english.SINGULARS
        determiner = self.at(first)
        if determiner != "the" and is_plural == (determiner in ("a", "an", "one")):
            return None
        return Phrase(first, head, english.SINGULARS.get(noun, noun), is_plural)


def is_noun(word: str) -> bool:
    """Tell whether `english` knows a word as a noun."""
    return word in english.KINDS or word in english.SINGULARS
