"""The prefix plan visits every distinct prefix once, and no other."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.corpus.sentences import Sentences
from core.encoding.prefixes import distinct, longest_shared_prefix, plan

sentences_strategy = st.lists(
    st.lists(st.integers(0, 5), min_size=1, max_size=7).map(tuple), min_size=1, max_size=40, unique=True
)


CPU = torch.device("cpu")


def joined(sentences):
    return Sentences.joined([np.array(sentence, np.int32) for sentence in sentences])


def read_back(steps):
    """Spell out the prefix of every node, level by level, and the sentence that ends at each row."""
    above, inner, spelled, ends = [()], [()], [], {}
    for level in steps.levels(CPU):
        parents = [above[parent] for parent in level.parents]
        assert parents == [inner[branch] for branch in level.branches]
        assert (np.diff(level.branches) >= 0).all()
        nodes = [(*parent, int(word)) for parent, word in zip(parents, level.words, strict=True)]
        spelled += nodes
        ends |= {int(row): nodes[node] for node, row in zip(level.ending, level.rows, strict=True)}
        above, inner = nodes, [nodes[node] for node in level.inner]
        assert [slot for slot in level.slots if slot >= 0] == list(range(len(inner)))
        assert [node for node, slot in enumerate(level.slots) if slot >= 0] == level.inner.tolist()
    return spelled, ends


@given(sentences_strategy)
def test_the_nodes_are_the_distinct_prefixes(sentences):
    spelled, _ = read_back(plan(joined(sentences)))
    prefixes = {sentence[:length] for sentence in sentences for length in range(1, len(sentence) + 1)}
    assert len(spelled) == len(prefixes)
    assert set(spelled) == prefixes


@given(sentences_strategy)
def test_every_sentence_ends_at_its_own_node(sentences):
    steps = plan(joined(sentences))
    spelled, ends = read_back(steps)
    assert ends == dict(enumerate(sentences))
    assert steps.nodes == len(spelled)


@given(sentences_strategy)
def test_only_nodes_with_children_are_carried_down(sentences):
    levels = list(plan(joined(sentences)).levels(CPU))
    for level, below in pairwise(levels):
        assert sorted(set(below.branches.tolist())) == list(range(len(level.inner)))
    assert len(levels[-1].inner) == 0


def test_two_captions_that_begin_alike_share_their_beginning():
    steps = plan(joined([(1, 2, 3, 9), (1, 2, 4, 9)]))
    assert [len(level.words) for level in steps.levels(CPU)] == [1, 1, 2, 2]


def test_ids_above_a_byte_are_sorted_as_numbers():
    steps = plan(joined([(255, 1), (256, 1), (70000, 1), (255, 2)]))
    assert [len(level.words) for level in steps.levels(CPU)] == [3, 4]


def test_a_sentence_that_another_begins_with_is_shared_whole():
    assert longest_shared_prefix(joined([(1, 2), (1, 2, 4), (1, 3), (2,)])).tolist() == [0, 2, 1, 0]


@given(sentences_strategy)
def test_read_backward_a_plan_is_that_of_the_reversed_sentences(sentences):
    spelled, ends = read_back(plan(joined(sentences), backward=True))
    expected, expected_ends = read_back(plan(joined([sentence[::-1] for sentence in sentences])))
    assert (spelled, ends) == (expected, expected_ends)


@given(
    st.sampled_from([(), tuple(range(14)), tuple(range(15)), (0,) * 40]),
    st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=3).map(tuple), min_size=1, max_size=40),
)
def test_equal_sentences_are_found_and_stay_in_their_order(beginning, sentences):
    sentences = [(*beginning, *sentence) for sentence in sentences]
    rows, begins = distinct(joined(sentences))
    assert [group.tolist() for group in np.split(rows, begins[1:])] == [
        [row for row, other in enumerate(sentences) if other == sentence] for sentence in sorted(set(sentences))
    ]
