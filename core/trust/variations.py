"""Variations: edited copies of a text, each with one change of a known kind. The rules know English captions."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from core.trust import english
from core.trust.phrases import Edit, Phrase, Phrases, is_noun

Kind: TypeAlias = Literal[
    "article",
    "capital",
    "stop",
    "blank",
    "contraction",
    "swap",
    "shuffle",
    "negation",
    "number",
    "colour",
    "gender",
    "size",
    "antonym",
    "place",
    "noun",
    "omission",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
GROUPS: Mapping[str, tuple[Kind, ...]] = {
    "harmless": ("article", "capital", "stop", "blank", "contraction"),
    "order": ("swap", "shuffle"),
    "meaning": ("negation", "number", "colour", "gender", "size", "antonym", "place", "noun"),
    "left out": ("omission",),
}
"""All kinds in their order, by what they change."""
CONTROL: Kind = "noun"
"""A noun replaced by one from elsewhere: who does not see this sees nothing."""

MOST_WORDS = 200
"""Number of words of a text beyond which it is no sentence."""

Edits: TypeAlias = list[Edit]

_NOT = re.compile(r"\b(is|are|was|were|do|does|did|has|have)(?: (not)|n['’]t)\b", re.IGNORECASE)
_IS = re.compile(r"\b(?:it|there|he|she|that|who)(['’]s)(?= (?:a|an|the|not|very|in|on|at|no|\w+ing)\b)", re.IGNORECASE)
_MOST_OMISSIONS = 40  # of words, and of ends: a long text would have hundreds
_SIDES, _LAYERS, _SLOPES = (
    {"left": "right", "right": "left"},
    {"on": "under", "under": "on"},
    {"up": "down", "down": "up"},
)
_SIBILANT = ("s", "x", "z", "ch", "sh", "ce", "se", "ge")  # endings that `'s` does not follow well


@dataclass(frozen=True, slots=True)
class Variation:
    """An edited copy of a text."""

    kind: Kind
    text: str
    edits: tuple[tuple[int, int], ...]
    """Where `text` differs, as (start, end) in it; equal where something was left out."""


def vary(text: str) -> list[Variation]:
    """Make the variations of a text: at most one of each kind, but omissions of each content word and of each end.

    No two of them are the same text.
    A rule applies only where it surely fits, so that a text may have few variations or none. Equal texts have equal
    variations.
    """
    read, variations = Phrases(text), list[Variation]()
    for kind, rule in _RULES.items():
        made = [_edited(kind, text, edits) for edits in rule(read)]
        others = {text, *(each.text for each in variations)}
        differ = {each.text: each for each in made if each.text.strip() and each.text not in others}
        variations += list(differ.values())[: None if kind == "omission" else 1]
    return variations


def _edited(kind: Kind, text: str, edits: Edits) -> Variation:
    pieces, places, at, length = list[str](), list[tuple[int, int]](), 0, 0
    for edit in edits:
        pieces += [text[at : edit.start], edit.new]
        length += edit.start - at
        places.append((length, length + len(edit.new)))
        length, at = length + len(edit.new), edit.end
    return Variation(kind, "".join([*pieces, text[at:]]), tuple(places))


# Harmless edits


def _article(read: Phrases) -> Iterator[Edits]:
    for i, word in enumerate(read.words):
        fits = read.next(i) not in {"", *english.OF_AMOUNTS} and read.before(i) not in english.BEFORE_A
        if word.text in ("a", "an") and fits and not (read.before(i) in english.BE and read.before(i - 1) == "there"):
            yield [read.replaced(i, "the")]
    for phrase in read.phrases:
        if read.at(phrase.first) == "the" and not phrase.is_plural:
            yield [read.replaced(phrase.first, "an" if english.takes_an(read.at(phrase.first + 1)) else "a")]


def _capital(read: Phrases) -> Iterator[Edits]:
    if read.text[:1].isalpha() and not read.text[1:2].isupper() and read.at(0) != "i":
        yield [Edit(0, 1, read.text[0].swapcase())]


def _stop(read: Phrases) -> Iterator[Edits]:
    body = read.text.rstrip()
    if body.endswith(".") and not body.endswith(".."):
        yield [Edit(len(body[:-1].rstrip()), len(body), "")]
    elif body[-1:].isalnum():
        yield [Edit(len(body), len(body), ".")]


def _blank(read: Phrases) -> Iterator[Edits]:
    blanks = [match.start() for match in re.finditer(r"(?<=\w) (?=\w)", read.text)]
    if blanks:
        at = blanks[len(blanks) // 2]
        yield [Edit(at, at + 1, "  ")]


def _contraction(read: Phrases) -> Iterator[Edits]:
    for match in _NOT.finditer(read.text):
        yield [Edit(match.end(1), match.end(), "n't" if match[2] else " not")]
    for match in _IS.finditer(read.text):
        yield [Edit(*match.span(1), " is")]
    for i in range(1, len(read.words)):
        subject = read.before(i)
        fits = (subject in english.PRONOUNS or subject in english.KINDS) and not subject.endswith(_SIBILANT)
        if read.at(i) == "is" and fits and read.next(i) not in ("", "not"):
            yield [Edit(read.words[i - 1].end, read.words[i].end, "'s")]


# Changed order


def _swap(read: Phrases) -> Iterator[Edits]:
    if len(read.phrases) < 2:
        return
    one, other = read.phrases[:2]
    between = [read.at(i) for i in range(one.head + 1, other.first)]
    joined = all(read.before(i) for i in range(one.head + 1, other.first + 1))
    if one.noun == other.noun or one.is_plural != other.is_plural or not between or not joined:
        return
    pairs = zip(["", *between], between, strict=False)
    parts = any(word == "of" and before not in english.RELATIONS for before, word in pairs)  # unlike `in front of`
    parts = parts or read.next(other.head) == "of"  # a box of pizza
    if parts or english.OWNED & set(between) or (between[-1] == "in" and other.noun in english.WORN):
        return  # another noun is between them, or they are no pair
    exists = "there" in (read.at(i) for i in range(one.first)) and read.at(other.first) == "the"
    if not english.SYMMETRIC & set(between) and not exists:
        first, second = read.written(one.first, one.head), read.written(other.first, other.head)
        moved = first[0].lower() + first[1:]
        yield [read.replaced(one.first, second, end=one.head), read.replaced(other.first, moved, end=other.head)]


def _draw(read: Phrases) -> random.Random:
    """Return random numbers that a text alone determines."""
    return random.Random(read.text.encode("utf-8", "surrogatepass"))


def _shuffle(read: Phrases) -> Iterator[Edits]:
    words = [read.at(i) if i == 0 else read.written(i) for i in read.content]
    if len(set(words)) < 3:
        return
    shuffled, draw = list(words), _draw(read)
    while shuffled == words:
        draw.shuffle(shuffled)
    places = zip(read.content, words, shuffled, strict=True)
    yield [read.replaced(i, new) for i, old, new in places if old != new]


# Changed meaning


def _negation(read: Phrases) -> Iterator[Edits]:
    if any(word.text in ("no", "not", "without") or word.text.endswith("n't") for word in read.words):
        return
    for i in range(len(read.words)):
        noun_phrase = read.next(i + 1) in english.DETERMINERS - {"the"} and read.next(i + 2) not in english.OF_AMOUNTS
        if read.at(i) == "there" and read.next(i) in english.BE and noun_phrase:
            yield [read.replaced(i + 2, "no")]
    for i in range(1, len(read.words)):
        if read.at(i) in english.BE and read.before(i) not in ("", "there") and read.next(i):
            yield [Edit(read.words[i].end, read.words[i].end, " not")]
    if read.at(0) in ("a", "an") and read.next(0) not in {"", *english.OF_AMOUNTS}:
        yield [read.replaced(0, "no")]
    for i in range(len(read.words)):
        if read.at(i) == "with" and read.next(i) in ("a", "an") and read.next(i + 1) not in english.OF_AMOUNTS:
            yield [read.replaced(i, "without")]


def _number(read: Phrases) -> Iterator[Edits]:
    numbers = english.NUMBERS
    singles = [phrase for phrase in read.phrases if read.at(phrase.first) in ("a", "an") and not phrase.is_plural]
    for phrase in singles:  # objects
        before, behind = read.before(phrase.first), read.next(phrase.head)
        is_object = before in english.PREPOSITIONS or before.endswith("ing")
        if is_object and (not behind or behind in english.PREPOSITIONS | {"and"}):
            yield _two(read, phrase)
    for i, word in enumerate(read.words):
        if word.text in numbers and read.next(i) and read.before(i) != "number":
            yield [read.replaced(i, (numbers[1:] + numbers[-2:-1])[numbers.index(word.text)])]
    for phrase in singles[:1]:  # a subject
        later = {read.at(i) for i in range(phrase.head + 1, len(read.words))}
        if phrase.first == 0 and read.next(phrase.head) == "is" and not later & english.AGREEING - {"is"}:
            yield [*_two(read, phrase), read.replaced(phrase.head + 1, "are")]
        elif phrase.first == 0 and read.next(phrase.head).endswith("ing") and not later & english.AGREEING:
            yield _two(read, phrase)


def _two(read: Phrases, phrase: Phrase) -> Edits:
    return [read.replaced(phrase.first, "two"), read.replaced(phrase.head, english.PLURALS[phrase.noun])]


def _colour(read: Phrases) -> Iterator[Edits]:
    def is_part_of_pair(i: int) -> bool:
        """Tell whether it is one of `black and white`."""
        behind = read.next(i) == "and" and read.next(i + 1) in english.COLOURS
        return behind or (read.before(i) == "and" and read.before(i - 1) in english.COLOURS)

    found = [
        i
        for i in range(len(read.words))
        if read.at(i) in english.COLOURS
        and read.is_adjective(i)
        and not is_part_of_pair(i)
        and read.next(i) not in english.PARTS_OF_NAMES
    ]
    described = [i for i in found if is_noun(read.next(i))]
    if len(described) > 1 and read.at(described[0]) != read.at(described[1]):
        one, other = described[:2]
        yield [*read.exchanged(one, read.at(other)), *read.exchanged(other, read.at(one))]
    here = {word.text for word in read.words}
    for i in found:
        for new in english.COLOURS[read.at(i)]:
            if new not in here:
                yield read.exchanged(i, new)


def _gender(read: Phrases) -> Iterator[Edits]:
    male = [i for i in range(len(read.words)) if read.at(i) in english.MALE or read.at(i) in ("his", "him")]
    female = [i for i in range(len(read.words)) if read.at(i) in english.FEMALE or read.at(i) == "her"]
    if bool(male) == bool(female):
        return
    edits: Edits = []
    for i in male or female:
        word, following = read.at(i), read.next(i)
        if word == "her":
            owns = is_noun(following) or following in english.ADJECTIVES or (i + 1 in read.content and bool(following))
            new = "his" if owns else "him"
        else:
            new = {"his": "her", "him": "her"}.get(word) or (english.MALE | english.FEMALE)[word]
        edits += read.exchanged(i, new)
    yield edits


def _size(read: Phrases) -> Iterator[Edits]:
    for i in range(len(read.words)):
        following = read.next(i)
        describes = is_noun(following) or following in english.ADJECTIVES | english.GROUPS
        if read.at(i) in english.SIZES and describes and read.before(i) not in ("as", "so", "feet", "foot", "too"):
            yield read.exchanged(i, english.SIZES[read.at(i)])


def _antonym(read: Phrases) -> Iterator[Edits]:
    for i in range(len(read.words)):
        word, following, before = read.at(i), read.next(i), read.before(i)
        if word == "old" and before not in ("year", "years", "month", "months") and is_noun(following):
            lives = english.kind_of(following) in ("person", "animal")
            yield read.exchanged(i, "young" if lives else "new")
        elif word == "full" and following == "of":
            yield read.exchanged(i, "empty")
        elif word in english.ANTONYMS and word != "old" and read.is_adjective(i) and before != "to":
            unbounded = word == "open" and english.UNBOUNDED & {following, read.next(i + 1)}
            named = following in english.PARTS_OF_NAMES
            yield [] if named or unbounded else read.exchanged(i, english.ANTONYMS[word])
        elif word in english.OPPOSITES and before not in english.DETERMINERS and i > 0:
            lives = word not in english.POSTURES or _nearest_kind(read, i) in ("person", "animal")
            yield read.exchanged(i, english.OPPOSITES[word]) if lives else []


def _nearest_kind(read: Phrases, place: int) -> str:
    """Return what the nearest known noun before a place names; empty without one."""
    return next(filter(None, (english.kind_of(read.at(i)) for i in range(place - 1, -1, -1))), "")


def _place(read: Phrases) -> Iterator[Edits]:
    for words, new in english.PLACES:
        place = read.sequence(*words)
        if place is not None and read.next(place + len(words) - 1) in english.OWNED and read.before(place) != "out":
            yield [read.replaced(place, new, end=place + len(words) - 1)]
    for i in range(len(read.words)):
        word, phrase, before = read.at(i), read.phrase_at(i + 1), read.before(i)
        if word in _SIDES and before == "the" and read.next(i) in ("", "side", "hand", "of"):
            yield [read.replaced(i, _SIDES[word])]
        if word in _LAYERS and phrase and phrase.noun in english.SUPPORTS and before not in english.BEFORE_ON:
            yield [read.replaced(i, _LAYERS[word])]
        if word in _SLOPES and read.next(i) in ("a", "the") and english.SLOPES & {read.at(i + 2), read.at(i + 3)}:
            yield [read.replaced(i, _SLOPES[word])]


def _noun(read: Phrases) -> Iterator[Edits]:
    here = {word.text for word in read.words}
    phrases = [phrase for phrase in read.phrases if not is_noun(read.at(phrase.head - 1))]
    if phrases:
        draw = _draw(read)
        phrase = draw.choice(phrases)
        kind = english.KINDS[phrase.noun]
        others = [noun for noun, other in english.KINDS.items() if other != kind]
        others = [english.PLURALS[noun] if phrase.is_plural else noun for noun in others if noun not in here]
        yield read.exchanged(phrase.head, draw.choice(others))


# Less


def _omission(read: Phrases) -> Iterator[Edits]:
    if len(read.words) > 1:
        for i in read.content[:_MOST_OMISSIONS]:
            yield read.removed(i)
        for word in read.words[:-1][:_MOST_OMISSIONS]:
            yield [Edit(word.end, len(read.text), "")]


_RULES: dict[Kind, Callable[[Phrases], Iterator[Edits]]] = {
    "article": _article,
    "capital": _capital,
    "stop": _stop,
    "blank": _blank,
    "contraction": _contraction,
    "swap": _swap,
    "shuffle": _shuffle,
    "negation": _negation,
    "number": _number,
    "colour": _colour,
    "gender": _gender,
    "size": _size,
    "antonym": _antonym,
    "place": _place,
    "noun": _noun,
    "omission": _omission,
}
