"""The prefix plan visits every distinct prefix once, and no other."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.encoding.prefixes import longest_shared_prefix, plan

sentences_strategy = st.lists(
    st.lists(st.integers(0, 5), min_size=1, max_size=7).map(tuple), min_size=1, max_size=40, unique=True
)


def arrays(sentences):
    return [np.array(sentence, np.int32) for sentence in sentences]


def read_back(steps):
    """Spell out the prefix of every node, level by level, and the sentence that ends at each row."""
    above, spelled, ends = [()], [], {}
    for level in steps.levels:
        parents = [above[parent] for parent in level.parents]
        assert (np.diff(level.parents) >= 0).all()
        nodes = [(*parent, int(steps.words[word])) for parent, word in zip(parents, level.words, strict=True)]
        spelled += nodes
        ends |= {int(row): nodes[node] for node, row in zip(level.ending, level.rows, strict=True)}
        above = [nodes[node] for node in level.inner]
    return spelled, ends


@given(sentences_strategy)
def test_the_nodes_are_the_distinct_prefixes(sentences):
    spelled, _ = read_back(plan(arrays(sentences)))
    prefixes = {sentence[:length] for sentence in sentences for length in range(1, len(sentence) + 1)}
    assert len(spelled) == len(prefixes)
    assert set(spelled) == prefixes


@given(sentences_strategy)
def test_every_sentence_ends_at_its_own_node(sentences):
    steps = plan(arrays(sentences))
    spelled, ends = read_back(steps)
    assert ends == dict(enumerate(sentences))
    assert steps.nodes == len(spelled)


@given(sentences_strategy)
def test_only_nodes_with_children_are_carried_down(sentences):
    levels = list(plan(arrays(sentences)).levels)
    for level, below in pairwise(levels):
        assert sorted(set(below.parents)) == list(range(len(level.inner)))
    assert len(levels[-1].inner) == 0


def test_two_captions_that_begin_alike_share_their_beginning():
    steps = plan(arrays([(1, 2, 3, 9), (1, 2, 4, 9)]))
    assert [len(level.words) for level in steps.levels] == [1, 1, 2, 2]


def test_ids_above_a_byte_are_sorted_as_numbers():
    steps = plan(arrays([(255, 1), (256, 1), (70000, 1), (255, 2)]))
    assert [len(level.words) for level in steps.levels] == [3, 4]


def test_padding_never_counts_as_shared():
    assert longest_shared_prefix(np.array([[1, 2, -1], [1, 2, -1], [1, 3, -1]], np.int32)).tolist() == [0, 2, 1]
