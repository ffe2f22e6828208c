"""Check that the explorer computes correct results on a device; a failing check does not stop the others."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from benchmarks.device_memory import limited_to, peak_bytes
from benchmarks.gpu_setting import Setting
from benchmarks.material import rows_that_share_a_mean, torch_lstm
from core.answers import Answer
from core.assets import AssetError
from core.corpus.captions import Captions
from core.encoding.steppers import compiled_steps_work
from core.encoding.text_encoder import TextEncoder
from core.explorer import Explorer
from core.opening import open_, open_text_encoder
from core.ranking.methods import Method
from core.ranking.ranking import LEADING
from core.ranking.search import MatrixSearcher, nearest_together
from core.store.progress import finish
from core.trust.calibration import Calibration

_LIMITED_SHARE = 0.6  # of the measured peak, so that at least one batch must be halved
_QUERIES = (
    "a rainbow is in the sky over an empty stretch of road",
    "two dogs play with a ball on the beach",
    "a man in a suit waits for the train with a red suitcase",
    "a plate of food",
    "doctor",
)
_OTHER_QUERIES = (  # asked while other work runs; not in _QUERIES, whose embeddings may be cached
    "a street sign in front of tall buildings",
    "an orange cat sleeps on a chair",
    "several people ride horses along a river",
    "a vase with yellow flowers",
    "kitchen",
)
_METHODS: tuple[Method, ...] = ("infersent", "words", "context")


class Check(NamedTuple):
    """Result of a check."""

    ok: bool | None
    """None when the check is not possible on this device."""
    value: dict[str, Any]
    """The measured values by name."""


def run(setting: Setting, *, report: Callable[[str, dict[str, Any] | None], None]) -> None:
    """Run every check; an exception in a check counts as its failure.

    Args:
        setting: Device and files.
        report: Called twice per check with its name: with None when it begins, then with its `Check` as a dict.
    """
    checks: dict[str, Callable[[Setting], Check]] = {
        f"embeddings_v{version}_{dtype}": partial(_embeddings, version=version, dtype=dtype)
        for version in (1, 2)
        for dtype in ("float32", "bfloat16")
    }
    checks |= {
        "compiled_steps": _compiled_steps,
        "typed_query": _typed_query,
        "interrupted_matrix": _interrupted_matrix,
        "first_hundred": _first_hundred,
        "explorer_answers": _explorer_answers,
        "explorer_answers_bfloat16": _explorer_answers_bfloat16,
        "named_device": _named_device,
        "out_of_memory_encoding": _out_of_memory_encoding,
        "out_of_memory_batch_search": _out_of_memory_batch_search,
        "out_of_memory_calibration": _out_of_memory_calibration,
        "out_of_memory_answers": _out_of_memory_answers,
    }
    with warnings.catch_warnings(record=True) as caught:
        for name, check in checks.items():
            report(name, None)
            try:
                result = check(setting)
            except Exception as error:  # a check may raise anything; the others must still run
                traceback.print_exc(file=sys.stderr)
                result = Check(False, {"error": f"{type(error).__name__}: {error}"})
            report(name, result._asdict())
    messages = sorted({str(each.message) for each in caught})
    no_warnings = Check(not messages, {"warnings": messages})  # warnings would be printed over the screen
    report("no_warnings", no_warnings._asdict())


def _embeddings(setting: Setting, *, version: int, dtype: str) -> Check:
    """Encode many captions together, and compare a sample of them with float64, one sentence at a time."""
    text_encoder, texts = _text_encoder(setting, version, dtype), _texts(setting)
    reference = _float64_reference(setting, version)
    embeddings = np.empty((len(texts), text_encoder.sentence_encoder.dim), np.float32)  # (N, D)
    finish(text_encoder.embed(texts, embeddings))
    value = _compare_embeddings(embeddings[reference.rows], reference.embeddings)
    figure, limit = ("largest_difference", 1e-5) if dtype == "float32" else ("largest_cosine_distance", 1e-4)
    return Check(value[figure] <= limit, value)


def _compiled_steps(setting: Setting) -> Check:
    """Check that captions are encoded by code compiled for the device and not, more slowly, by torch's operators."""
    device = str(torch.device(setting.device))
    works = {str(dtype): compiled_steps_work(device, dtype) for dtype in (torch.float32, torch.bfloat16)}
    return Check(all(works.values()), works | {"torch": torch.__version__})


def _typed_query(setting: Setting) -> Check:
    """Compare sentences, each encoded as a typed query, with float64. On a CPU, queries use weights in float16.

    A new thread encodes them, as in the explorer.
    """
    text_encoder, texts = _text_encoder(setting, 2, "float32"), _texts(setting)
    reference = _float64_reference(setting, 2)
    ids = [text_encoder.vocabulary.look_up(texts[row]).ids for row in reference.rows]  # each (T,)
    with ThreadPoolExecutor(1) as thread:
        embeddings = np.stack([each.embedding for each in thread.map(text_encoder.encode, ids)])  # (n, D)
    value = _compare_embeddings(embeddings, reference.embeddings)
    if setting.device == "cpu":
        return Check(value["largest_cosine_distance"] <= 1e-5, value)
    return Check(value["largest_difference"] <= 1e-5, value)


def _interrupted_matrix(setting: Setting) -> Check:
    """Interrupt the making of a matrix and resume it; every bit must equal that of a run without interruption."""
    captions = setting.first(9_000 if setting.quick else 50_000)  # several chunks
    setup = setting.setup(captions, dtype="auto")
    complete = finish(open_(setup, setting.cache("whole")))
    steps = open_(setup, setting.cache("interrupted"))
    for step in steps:
        if step.stage == "encoding captions" and step.done > 0.6 * step.total:
            break
    steps.close()
    resumed = finish(open_(setup, setting.cache("interrupted")))
    same = [
        np.array_equal(getattr(complete.matrix, name), getattr(resumed.matrix, name))
        for name in ("rows", "norms", "row_norms")
    ]
    value = {"rows": len(complete.matrix), "dtype": setup.dtype, "resumed_rows": resumed.report.resumed_rows}
    value["different_rows"] = int((complete.matrix.rows != resumed.matrix.rows).any(axis=1).sum())
    return Check(all(same) and resumed.report.resumed_rows > 0, value)


def _first_hundred(setting: Setting) -> Check:
    """Compare the first hits and the whole order in a matrix of the official size with those computed in float64."""
    n, dim = (20_000, 256) if setting.quick else (202_654, 4096)
    matrix = rows_that_share_a_mean(n, dim, device=setting.device)
    searcher = MatrixSearcher(matrix, device=setting.device)
    random = np.random.default_rng(5)
    own = n // 3
    queries = {
        "a caption": (matrix.rows[own].astype(np.float32), own),
        "near a caption": (matrix.rows[n // 2] + random.normal(size=dim).astype(np.float32) * 0.003, None),
        "anywhere": (random.normal(size=dim).astype(np.float32), None),
    }
    exact = _reference_distances(np.stack([query for query, _ in queries.values()]), matrix.rows)  # (Q, N)
    equal = {}
    for (name, (query, own_row)), distances in zip(queries.items(), exact, strict=True):
        if own_row is not None:
            distances[own_row] = -1  # a caption ranks first for itself
        order = np.argsort(distances, kind="stable")  # (N,)
        found = searcher.nearest(query, own_row=own_row)
        whole = found.order()
        equal[name] = (
            found.leading.rows.tolist() == order[:LEADING].tolist()
            and found.leading.distances.tolist() == np.maximum(distances[order[:LEADING]], 0).tolist()
            and np.array_equal(np.sort(whole.rows), np.arange(n))
            and float(np.abs(whole.distances - np.maximum(distances[whole.rows], 0)).max()) < 1e-5
        )
    value = {"rows": n, "dim": dim, "read_on": searcher.device, "equal": equal}
    if setting.device != "cpu" and searcher.device == "cpu":
        return Check(None, value | {"skipped": "the matrix does not fit on this card"})
    return Check(all(equal.values()), value)


def _explorer_answers(setting: Setting) -> Check:
    """Encode, calibrate and ask on the device and on the CPU, each with its own cache, and compare the answers."""
    on_device, on_cpu = setting.demo(cache="demo"), setting.demo(cache="demo-cpu", device="cpu")
    value = _compare_answers(on_device, on_cpu, _METHODS)
    value["largest_difference_of_success"] = _success_gap(on_device.opened.calibration, on_cpu.opened.calibration)
    return Check(
        value["largest_difference_of_distances"] < 1e-3
        and value["same_first_ten"] >= 0.98  # orders may differ where distances are almost equal
        and value["same_verdict"] >= 0.98
        and value["largest_difference_of_success"] < 0.02,
        value,
    )


def _explorer_answers_bfloat16(setting: Setting) -> Check:
    """Compare answers with captions in bfloat16, as `--dtype auto` does on most GPUs, with float32 on the CPU."""
    on_device, on_cpu = setting.demo(cache="demo", dtype="bfloat16"), setting.demo(cache="demo-cpu", device="cpu")
    value = _compare_answers(on_device, on_cpu, ("infersent",))
    return Check(value["largest_difference_of_distances"] < 0.01 and value["same_first_ten_as_sets"] >= 0.9, value)


def _named_device(setting: Setting) -> Check:
    """Select the last device by its number; answers and calibration must equal those of plain `cuda`."""
    if setting.device != "cuda":
        return Check(None, {"skipped": "only plain cuda has a numbered name to compare with"})
    device = f"cuda:{torch.cuda.device_count() - 1}"
    plain, numbered = setting.demo(cache="demo"), setting.demo(cache="demo", device=device)
    for explorer in (plain, numbered):
        finish(explorer.opened.calibrate())
    opened, before = numbered.opened, numbered.opened.calibration
    finish(opened.calibrate(again=True))
    encoder_on = str(opened.text_encoder.sentence_encoder.device)
    value: dict[str, Any] = {"device": opened.setup.device, "encoder_on": encoder_on}
    value["largest_difference_of_distances"] = _distance_gap((plain.ask(text), numbered.ask(text)) for text in _QUERIES)
    value["largest_difference_of_success"] = _success_gap(before, opened.calibration)
    is_used = opened.setup.device == device == encoder_on
    is_same = value["largest_difference_of_distances"] < 1e-4 and value["largest_difference_of_success"] < 0.02
    return Check(is_used and is_same, value)


def _out_of_memory_encoding(setting: Setting) -> Check:
    """Encode with too little memory; the halved batches must give the same embeddings."""
    text_encoder, texts = _text_encoder(setting, 2, "float32"), _texts(setting)
    unlimited, limited = (np.empty((len(texts), text_encoder.sentence_encoder.dim), np.float32) for _ in range(2))
    finish(text_encoder.embed(texts, unlimited))
    peak = peak_bytes(setting.device, lambda: finish(text_encoder.embed(texts, unlimited)))
    with limited_to(setting.device, int(peak * _LIMITED_SHARE)) as refusals:
        finish(text_encoder.embed(texts, limited))
    difference = float(np.abs(unlimited - limited).max())
    value = {"refused": refusals.count, "peak_mb": peak / 1e6, "largest_difference": difference}
    value["identical_rows"] = float((unlimited == limited).all(axis=1).mean())
    return Check(refusals.count > 0 and difference <= 1e-5, value)


def _out_of_memory_batch_search(setting: Setting) -> Check:
    """Search for many queries in one batch with too little memory; the halved batches must find the same rows."""
    matrix = rows_that_share_a_mean(2_000 if setting.quick else 20_000, 1024, device=setting.device)
    own = np.arange(8_000) % len(matrix.rows)  # (Q,); their search takes far more than 20 MB, torch's unit on a GPU
    queries = matrix.rows[own].astype(np.float32)  # (Q, D)
    search = partial(
        *(nearest_together, queries, matrix.rows),
        k=LEADING,
        leave_out=np.column_stack([np.arange(len(own)), own]),
        excluded=np.empty(0, np.int64),
        device=torch.device(setting.device),
    )
    unlimited = finish(search())
    peak = peak_bytes(setting.device, lambda: finish(search()))
    with limited_to(setting.device, int(peak * _LIMITED_SHARE)) as refusals:
        limited = finish(search())
    difference = float(np.abs(unlimited.cosines - limited.cosines).max())
    value = {"refused": refusals.count, "peak_mb": peak / 1e6, "largest_difference": difference}
    value["same_rows"] = float((unlimited.rows == limited.rows).mean())
    # float32 products of other shapes sum in another order: 2e-6 on an H100; rows that nearly tie change places
    return Check(refusals.count > 0 and difference <= 1e-5 and value["same_rows"] > 0.99, value)


def _out_of_memory_calibration(setting: Setting) -> Check:
    """Calibrate with too little memory and ask in between; answers and calibration must be as with enough memory."""
    other, explorer = setting.demo(cache="demo"), setting.demo(cache="demo")
    for each in (other, explorer):
        finish(each.opened.calibrate())
    expected = [other.ask(text, settled=False) for text in _OTHER_QUERIES]
    opened, before = explorer.opened, explorer.opened.calibration
    peak = peak_bytes(setting.device, lambda: finish(opened.calibrate(again=True)))
    answers, outcome = [], "finished"
    with limited_to(setting.device, int(peak * _LIMITED_SHARE)) as refusals:
        try:
            for number, _ in enumerate(opened.calibrate(again=True)):
                if number % 3 == 2 and len(answers) < len(_OTHER_QUERIES):
                    answers.append(explorer.ask(_OTHER_QUERIES[len(answers)], settled=False))
        except AssetError as error:
            outcome = str(error)
    value = {"refused": refusals.count, "peak_mb": peak / 1e6, "outcome": outcome}
    value["largest_difference_of_distances"] = _distance_gap(zip(answers, expected, strict=True))
    value["largest_difference_of_success"] = _success_gap(before, opened.calibration)
    return Check(
        refusals.count > 0
        and outcome == "finished"
        and value["largest_difference_of_distances"] < 1e-3
        and value["largest_difference_of_success"] < 0.02,
        value,
    )


def _out_of_memory_answers(setting: Setting) -> Check:
    """Ask for neighbours and typed queries with no GPU memory left; the CPU must answer, and the explorer report it."""
    if setting.device == "cpu":
        return Check(None, {"skipped": "there is no other device to continue on"})
    other, explorer = setting.demo(cache="demo"), setting.demo(cache="demo")
    for each in (other, explorer):
        each.opened.text_encoder.warm_up()
    captions = len(explorer.opened.captions)
    rows = range(0, captions, max(1, captions // 10))
    expected = [other.neighbours(row) for row in rows], [other.ask(text, settled=False) for text in _OTHER_QUERIES]
    problems_before = explorer.opened.problems()
    with limited_to(setting.device, 0) as refusals:
        followed = [explorer.neighbours(row) for row in rows]
        typed = [explorer.ask(text, settled=False) for text in _OTHER_QUERIES]
    value: dict[str, Any] = {"refused": refusals.count}
    value["same_neighbours"] = all(_same_hits(*pair) for pair in zip(followed, expected[0], strict=True))
    value["largest_difference_of_distances"] = _distance_gap(zip(typed, expected[1], strict=True))
    value["told"] = [problem for problem in explorer.opened.problems() if problem not in problems_before]
    is_same = value["same_neighbours"] and value["largest_difference_of_distances"] < 1e-3
    return Check(refusals.count > 0 and is_same and len(value["told"]) == 1, value)


def _text_encoder(setting: Setting, version: int, dtype: str) -> TextEncoder:
    setup = setting.setup(setting.captions, version=version, dtype=dtype)
    return finish(open_text_encoder(setup, setting.cache("encoder")))


def _texts(setting: Setting) -> Sequence[str]:
    """Read the captions that are encoded without making a matrix."""
    return Captions.read(setting.first(300 if setting.quick else 6_000)).texts


class _Reference(NamedTuple):
    rows: list[int]
    """Caption rows drawn evenly over the lengths of the texts, including the shortest and the longest."""
    embeddings: NDArray[np.float64]
    """One embedding per row, (n, D), not normalized."""


@cache
def _float64_reference(setting: Setting, version: int) -> _Reference:
    """Encode a sample of captions, each alone, with torch's LSTM in float64 on the CPU."""
    vocabulary, texts = _text_encoder(setting, version, "float32").vocabulary, _texts(setting)
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    rows = [order[i] for i in np.linspace(0, len(order) - 1, 20 if setting.quick else 100).astype(int)]
    lstm = torch_lstm(torch.load(setting.weights, weights_only=True), dtype=torch.float64)
    ids = [vocabulary.look_up(texts[row]).ids for row in rows]  # each (T,)
    with torch.inference_mode():
        words = [torch.from_numpy(vocabulary.vectors.rows[each]).double() for each in ids]  # each (T, E)
        embeddings = [lstm(each[:, None])[0][:, 0].max(dim=0).values.numpy() for each in words]  # each (D,)
    return _Reference(rows, np.stack(embeddings))


def _compare_embeddings(embeddings: NDArray[np.float32], exact: NDArray[np.float64]) -> dict[str, Any]:
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1) * np.linalg.norm(exact, axis=1)  # (N,)
    cosines = (embeddings * exact).sum(axis=1) / lengths  # (N,)
    return {
        "sentences": len(exact),
        "largest_difference": float(np.abs(embeddings - exact).max()),
        "largest_cosine_distance": float(1 - cosines.min()),
    }


def _reference_distances(queries: NDArray[np.float32], rows: NDArray[np.float16]) -> NDArray[np.float64]:
    """Compute the cosine distances of every query to every row with scipy in float64, (Q, N)."""
    queries_f64 = queries.astype(np.float64)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        blocks = [rows[start : start + 2048] for start in range(0, len(rows), 2048)]  # each (2048, D)
        return np.hstack(list(pool.map(lambda block: cdist(queries_f64, block.astype(np.float64), "cosine"), blocks)))


def _compare_answers(on_device: Explorer, on_cpu: Explorer, methods: Sequence[Method]) -> dict[str, Any]:
    """Calibrate both explorers, ask them the same captions and texts with every method, and compare their answers."""
    for explorer in (on_device, on_cpu):
        finish(explorer.opened.calibrate())
    captions = len(on_device.opened.captions)
    rows = range(0, captions, max(15, captions // 40))  # about 40; fewer of the few captions of a quick run
    pairs: list[list[Answer]] = []
    for method in methods:
        for row in rows:
            pairs.append([each.complete(each.neighbours(row, method=method)) for each in (on_device, on_cpu)])
        for text in _QUERIES:
            pairs.append([each.ask(text, method=method) for each in (on_device, on_cpu)])
    first_tens = [(ours.hits.rows[:10].tolist(), theirs.hits.rows[:10].tolist()) for ours, theirs in pairs]
    return {
        "answers": len(pairs),
        "largest_difference_of_distances": _distance_gap(pairs),
        "same_first_ten": float(np.mean([ours == theirs for ours, theirs in first_tens])),
        "same_first_ten_as_sets": float(np.mean([set(ours) == set(theirs) for ours, theirs in first_tens])),
        "same_verdict": float(np.mean([_level(ours) == _level(theirs) for ours, theirs in pairs])),
    }


def _distance_gap(pairs: Iterable[Sequence[Answer]]) -> float:
    """Find the largest difference between two answers' distances, both at equal ranks and for equal hits."""
    differences = []
    for ours, theirs in pairs:
        differences += np.abs(ours.hits.distances - theirs.hits.distances).tolist()
        hits = (ours.hits, theirs.hits)
        mine, other = (dict(zip(each.rows.tolist(), each.distances.tolist(), strict=True)) for each in hits)
        differences += [abs(mine[row] - other[row]) for row in mine.keys() & other.keys()]
    return float(np.max(differences))  # np.max keeps nan, max() would not


def _same_hits(ours: Answer, theirs: Answer) -> bool:
    return (
        ours.hits.rows.tolist() == theirs.hits.rows.tolist()
        and ours.hits.distances.tolist() == theirs.hits.distances.tolist()
    )


def _level(answer: Answer) -> str | None:
    return None if answer.verdict is None else answer.verdict.level


def _success_gap(ours: Calibration | None, theirs: Calibration | None) -> float:
    """Find the largest difference in success of any method at any length; infinite if a calibration is missing."""
    if ours is None or theirs is None or len(ours.curve) != len(theirs.curve):
        return float("inf")
    pairs = zip(ours.curve, theirs.curve, strict=True)
    return max(abs(a.by_method[method][0] - b.by_method[method][0]) for a, b in pairs for method in a.by_method)
