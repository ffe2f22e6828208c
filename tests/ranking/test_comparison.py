"""Comparisons: the same query by several methods."""

import numpy as np
import pytest
from conftest import typed, write_coco
from hypothesis import given
from hypothesis import strategies as st

from core.ranking.comparison import SharedWords, compare
from core.ranking.ranking import Ranking


def by_distance(*rows):
    return Ranking(np.array(rows, np.int32), np.arange(len(rows)) / 10)


def by_score(*rows):
    return Ranking(np.array(rows, np.int32), np.empty(0), -np.arange(len(rows), dtype=np.float32))


def side_by_side(rankings, *, row=None):
    texts = [f"caption {i}" for i in range(100)]
    return compare("a query", row, rankings, texts=texts, shared_words=lambda text: ())


def test_each_hit_knows_its_rank_by_the_other_methods():
    found = side_by_side({"infersent": by_distance(5, 7), "bm25": by_score(7, 9), "words": by_distance(7)})
    first, second = found.lists["infersent"]
    assert (first.row, first.rank, first.distance, first.score) == (5, 1, 0.0, None)
    assert first.ranks == {"bm25": None, "words": None}
    assert second.ranks == {"bm25": 1, "words": 1}
    assert found.lists["bm25"][1].score == -1
    assert found.lists["bm25"][1].distance is None


def test_the_overlap_counts_what_both_have_among_their_first_ten_and_not_the_query():
    found = side_by_side({"infersent": by_distance(*range(20)), "bm25": by_score(0, *range(19, 4, -1))}, row=0)
    assert found.overlap("infersent", "bm25") == found.overlap("bm25", "infersent") == 1  # 10; the query is left out


@given(st.lists(st.permutations(range(15)), min_size=2, max_size=4))
def test_overlaps_and_ranks_are_the_same_seen_from_either_side(orders):
    rankings = dict(
        zip(("infersent", "words", "bm25", "context"), (by_distance(*order) for order in orders), strict=False)
    )
    found = side_by_side(rankings)
    assert len(found.overlaps) == len(orders) * (len(orders) - 1) // 2
    for one, hits in found.lists.items():
        for hit in hits:
            for other, rank in hit.ranks.items():
                assert found.lists[other][rank - 1].row == hit.row
                assert found.lists[other][rank - 1].ranks[one] == hit.rank
                assert found.overlap(one, other) == len(set(rankings[one].rows[:10]) & set(rankings[other].rows[:10]))


def test_words_are_shared_when_their_stems_are_equal(files):
    explorer = files.explorer(need="methods")
    bm25 = explorer.opened.rankers.lexical.bm25
    shared = SharedWords(typed(explorer, "a dog is running"), lambda: bm25)
    assert shared("Dogs and a dog, dogs! One runs") == ("Dogs", "dog", "dogs", "runs")
    assert shared("a cat is here") == ()  # stop words are not shared


def test_no_words_are_shared_before_the_methods_are_open(files):
    explorer = files.explorer(need="methods")
    lexical = []
    shared = SharedWords(typed(explorer, "a dog"), lambda: next(iter(lexical), None))
    assert shared("a dog") == ()
    lexical.append(explorer.opened.rankers.lexical.bm25)
    assert shared("a dog") == ("dog",)


def test_a_sum_shares_the_words_of_what_it_is_about(files):
    explorer = files.explorer(need="methods")
    bm25 = explorer.opened.rankers.lexical.bm25
    shared = SharedWords(typed(explorer, "a dog on a beach - a dog + a horse"), lambda: bm25)
    assert shared("a dog and a horse on a beach") == ("horse", "beach")


def test_a_comparison_has_the_answers_of_each_method(files):
    explorer = files.explorer(need="methods")
    found = explorer.compare(typed(explorer, "two dogs near a window"))
    assert list(found.lists) == ["infersent", "words", "bm25", "context", "fused"]
    for method, hits in found.lists.items():
        answer = explorer.ask("two dogs near a window", method=method)
        assert [hit.row for hit in hits] == answer.hits.rows.tolist()
        values = answer.hits.distances if answer.hits.scores is None else answer.hits.scores
        assert [hit.distance if hit.score is None else hit.score for hit in hits] == values.tolist()
    assert {word.lower() for hit in found.lists["bm25"] for word in hit.shared} & {"dog", "dogs"}
    assert not any("near a" in word for hit in found.lists["bm25"] for word in hit.shared)


def test_a_compared_caption_leads_every_list(files):
    explorer = files.explorer(need="methods")
    found = explorer.compare(explorer.queries.of_row(7), methods=["infersent", "bm25"])
    assert (found.query, found.row) == (explorer.opened.captions.texts[7], 7)
    assert [hits[0].row for hits in found.lists.values()] == [7, 7]


def test_equal_captions_count_once(files):
    write_coco(files.captions, ["a dog", "a cat", "a dog", "a dog near a window", "a man", "a cat"])
    explorer = files.explorer(need="methods")
    found = explorer.compare(typed(explorer, "a dog"))
    assert [hit.row for hit in found.lists["bm25"]] == [0, 3]
    assert sorted(hit.row for hit in found.lists["infersent"]) == [0, 1, 3, 4]
    assert found.overlap("infersent", "bm25") == 1, "without the query itself"


def test_a_sum_has_no_lists_to_compare(files):
    explorer = files.explorer(need="methods")
    assert explorer.compare(typed(explorer, "a dog - a cat")).lists == {}


def test_methods_that_are_not_open_are_not_compared(files):
    explorer = files.explorer()
    with pytest.raises(RuntimeError, match="open_methods"):
        explorer.compare(typed(explorer, "a dog"))
