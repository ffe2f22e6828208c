"""Variations: each rule changes what it names, in English, and nothing else."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trust import english
from core.trust.variations import KINDS, Variation, vary


def texts_of(text: str, kind: str) -> list[str]:
    return [variation.text for variation in vary(text) if variation.kind == kind]


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("article", "A man rides an elephant.", "The man rides an elephant."),
        ("article", "two men near the elephant", "two men near an elephant"),
        ("article", "There is a cat on the sofa", "There is a cat on a sofa"),
        ("article", "a lot of cats", None),
        ("article", "Two dogs run.", None),
        ("capital", "a dog", "A dog"),
        ("capital", "A dog", "a dog"),
        ("capital", "TV on a desk", None),
        ("stop", "a dog runs", "a dog runs."),
        ("stop", "a dog runs .", "a dog runs"),
        ("stop", "what now ...", None),
        ("blank", "a dog runs", "a dog  runs"),
        ("contraction", "a dog is asleep", "a dog's asleep"),
        ("contraction", "it's a dog", "it is a dog"),
        ("contraction", "a dog isn't here", "a dog is not here"),
        ("contraction", "dogs are not here", "dogs aren't here"),
        ("contraction", "the bus is red", None),
        ("contraction", "a man's fishing rod", None),
        ("swap", "a man bites a dog", "a dog bites a man"),
        ("swap", "A small dog chases two big red cats", None),
        ("swap", "A small dog chases a big red cat.", "A big red cat chases a small dog."),
        ("swap", "a man and a dog", None),
        ("swap", "a man riding a wave on a surfboard", None),
        ("swap", "a girl brushing her hair in front of a mirror", None),
        ("swap", "a boy in a shirt throws a ball", None),
        ("swap", "a bowl of soup on a stove", None),
        ("swap", "a man holding a box of pizza", None),
        ("swap", "a car is parked in front of a house", "a house is parked in front of a car"),
        ("noun", "a hot dog on some paper", None),
        ("antonym", "zebras in a large open field", None),
        ("antonym", "a cat near an open door", "a cat near a closed door"),
        ("swap", "a cat next to a dog", None),
        ("negation", "a dog is sitting on a couch", "a dog is not sitting on a couch"),
        ("negation", "There are two dogs here", "There are no dogs here"),
        ("negation", "A dog on a couch", "No dog on a couch"),
        ("negation", "dogs with a ball", "dogs without a ball"),
        ("negation", "no dog is here", None),
        ("negation", "a couple of dogs run", None),
        ("number", "a man holding a knife", "a man holding two knives"),
        ("number", "two dogs run", "three dogs run"),
        ("number", "A dog is asleep", "Two dogs are asleep"),
        ("number", "A dog is licking its paw", None),
        ("number", "A dog looks up", None),
        ("colour", "a red car in front of a white house", "a white car in front of a red house"),
        ("colour", "a red car", "a blue car"),
        ("colour", "a black and white cow", None),
        ("colour", "a glass of red wine", None),
        ("gender", "A man and his dog", "A woman and her dog"),
        ("gender", "a woman; he looks at her", None),
        ("gender", "A girl brushes her teeth, a dog watches her", "A boy brushes his teeth, a dog watches him"),
        ("gender", "a man and a woman", None),
        ("size", "a small dog", "a large dog"),
        ("size", "a little bit of cake", None),
        ("antonym", "an open door", "a closed door"),
        ("antonym", "an old man", "a young man"),
        ("antonym", "an old bus", "a new bus"),
        ("antonym", "a man is standing", "a man is sitting"),
        ("antonym", "a vase is standing there", None),
        ("antonym", "a five year old boy", None),
        ("antonym", "a hot dog", None),
        ("place", "a cat on a table", "a cat under a table"),
        ("place", "a bus in front of a house", "a bus behind a house"),
        ("place", "the dog on the left", "the dog on the right"),
        ("place", "a man on the phone", None),
        ("place", "skiing down a slope", "skiing up a slope"),
    ],
)
def test_a_rule_makes_what_it_names_or_does_not_apply(kind, text, wanted):
    assert texts_of(text, kind) == ([] if wanted is None else [wanted])


def test_the_control_replaces_a_noun_by_one_that_names_something_else():
    (made,) = texts_of("a photo of two dogs and some snow", "noun")
    noun = made.removeprefix("a photo of two ").removesuffix(" and some snow")
    assert noun in english.SINGULARS
    assert english.kind_of(noun) != "animal"


def test_a_replaced_word_gets_its_article():
    for text in ("a man on an old bench", "an orange cat", "a dog on a table", "an apple"):
        for variation in vary(text):
            words = variation.text.lower().split()
            for article, word in pairwise(words):
                if article in ("a", "an") and variation.kind not in ("shuffle", "omission"):
                    assert (article == "an") == english.takes_an(word), variation


def test_each_content_word_and_each_end_is_left_out():
    assert texts_of("a dog runs fast", "omission") == ["a runs fast", "a dog fast", "a dog runs", "a", "a dog"]
    assert texts_of("dog", "omission") == []
    assert "a dog in of a car" not in texts_of("a dog in front of a car", "omission")


def test_the_same_text_is_made_once():
    kinds = {each.text: each.kind for each in vary("a man bites a dog")}
    assert len(kinds) == len(vary("a man bites a dog"))
    assert kinds["a dog bites a man"] == "swap"


def test_a_long_text_has_no_more_variations_than_a_sentence():
    assert len(vary("a dog on a red couch near two trees. " * 1500)) < 100


def test_what_was_edited_is_marked():
    (variation,) = [each for each in vary("A red car near a white house") if each.kind == "colour"]
    assert [variation.text[start:end] for start, end in variation.edits] == ["white", "red"]


words = st.lists(st.sampled_from("a the two is not red old dog dogs on her . , left".split())).map(" ".join)


@given(st.text(max_size=60) | words)
def test_any_text_has_variations_that_differ_from_it(text):
    variations = vary(text)
    assert vary(text) == variations
    for variation in variations:
        assert isinstance(variation, Variation)
        assert variation.text != text
        assert variation.text.strip()
        assert all(0 <= start <= end <= len(variation.text) for start, end in variation.edits)
    kinds = [variation.kind for variation in variations if variation.kind != "omission"]
    assert kinds == sorted(set(kinds), key=KINDS.index)


def test_plurals_and_singulars_belong_together():
    assert len(english.SINGULARS) == len(english.PLURALS)
    assert english.PLURALS["bus"] == "buses"
    assert english.PLURALS["pony"] == "ponies"
    assert english.PLURALS["donkey"] == "donkeys"
    assert english.kind_of("women") == "person"
