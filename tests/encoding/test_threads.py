"""Work split over the cores."""

import threading

import pytest
import torch

from core.encoding.threads import computed_ahead, in_slices, run_in_parallel


@pytest.fixture(params=[1, 2, 3], ids=lambda threads: f"{threads} threads")
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_the_slices_cover_everything_once_in_order(threads, n):
    slices = in_slices(lambda start, end: list(range(start, end)), n)
    assert [i for each in slices for i in each] == list(range(n))
    assert len(slices) <= threads


def test_inside_a_slice_operators_use_one_thread_and_outside_as_many_as_before(threads):
    in_slices(lambda start, end: None, 10)
    assert torch.get_num_threads() == threads
    if threads > 1:
        assert in_slices(lambda start, end: torch.get_num_threads(), 10) == [1] * threads


def test_threads_started_later_still_use_all_cores(threads):
    in_slices(lambda start, end: None, 10)
    seen = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [threads]


def test_what_goes_wrong_in_one_is_raised_when_all_have_ended(threads):
    ended = []

    def fail():
        raise ValueError("so")

    with pytest.raises(ValueError, match="so"):
        run_in_parallel([fail, lambda: ended.append(1)] if threads > 1 else [lambda: ended.append(1), fail])
    assert ended == [1]


def test_results_come_in_order_with_a_few_computed_ahead():
    computed = []

    def work(item):
        computed.append(item)
        return item * item

    results = computed_ahead(work, range(20), ahead=2)
    assert computed == []
    assert next(results) == (0, 0)
    assert next(results) == (1, 1)
    assert set(computed) <= {0, 1, 2, 3}
    assert list(results) == [(item, item * item) for item in range(2, 20)]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_fewer_items_than_are_computed_ahead(count):
    assert list(computed_ahead(str, range(count), ahead=2)) == [(item, str(item)) for item in range(count)]


def test_what_goes_wrong_ahead_is_raised_at_its_item():
    results = computed_ahead(lambda item: 1 // item, [3, 2, 0, 1], ahead=3)
    assert [next(results), next(results)] == [(3, 0), (2, 0)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_its_threads_end_when_it_is_closed_before_its_end():
    results = computed_ahead(lambda item: item, range(100), ahead=2)
    next(results)
    assert [each for each in threading.enumerate() if each.name.startswith("ahead")]
    results.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("ahead")]
