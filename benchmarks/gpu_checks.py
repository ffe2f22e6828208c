"""Whether the explorer computes on a device what it should; a failing check does not stop the others."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from benchmarks.device_memory import Refusals, limited_to, peak_bytes
from benchmarks.gpu_setting import Setting
from benchmarks.material import rows_that_share_a_mean
from core.assets import AssetError
from core.calibration import Calibration
from core.explorer import Answer, Explorer
from core.methods import Method
from core.progress import finish
from core.search import LEADING, Searcher

_ENOUGH = 0.6  # of the memory that work takes: it must be halved once at least
_QUERIES = (
    "a rainbow is in the sky over an empty stretch of road",
    "two dogs play with a ball on the beach",
    "a man in a suit waits for the train with a red suitcase",
    "a plate of food",
    "doctor",
)
_METHODS: tuple[Method, ...] = ("infersent", "words", "context")


class Check(NamedTuple):
    """What came of a check."""

    ok: bool | None
    """None where the device cannot be checked in this way."""
    value: dict[str, Any]
    """What was measured."""


def run(setting: Setting, *, tell: Callable[[str], None]) -> dict[str, Check]:
    """Run every check; what one raises is its failure.

    Args:
        setting: Where.
        tell: Called with the name of each check before it begins.
    """
    checks: dict[str, Callable[[Setting], Check]] = {
        f"embeddings_v{version}_{dtype}": partial(_embeddings, version=version, dtype=dtype)
        for version in (1, 2)
        for dtype in ("float32", "bfloat16")
    }
    checks |= {
        "typed_query": _typed_query,
        "interrupted_matrix": _interrupted_matrix,
        "out_of_memory_encoding": _out_of_memory_encoding,
        "first_hundred": _first_hundred,
        "explorer_answers": _explorer_answers,
        "named_device": _named_device,
        "out_of_memory_calibration": _out_of_memory_calibration,
        "out_of_memory_search": _out_of_memory_search,
    }
    results = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, check in checks.items():
            tell(name)
            try:
                results[name] = check(setting)
            except Exception as error:  # a check may fail in any way; the others go on
                traceback.print_exc(file=sys.stderr)
                results[name] = Check(False, {"error": f"{type(error).__name__}: {error}"})
    said = sorted({str(each.message) for each in caught})
    results["no_warnings"] = Check(not said, {"warnings": said})  # they would be printed over the explorer's screen
    return results


def _embeddings(setting: Setting, *, version: int, dtype: str) -> Check:
    """Compare some of many captions, encoded together, with float64 one sentence at a time."""
    explorer = _encoder(setting, version, dtype)
    reference = _one_at_a_time(setting, version)
    embeddings = np.empty((len(explorer.captions), explorer.encoder.dim), np.float32)  # (N, D)
    finish(explorer.embed(explorer.captions.texts, embeddings))
    value = _distance_between(embeddings[reference.rows], reference.embeddings)
    figure, limit = ("largest_difference", 1e-5) if dtype == "float32" else ("largest_cosine_distance", 1e-4)
    return Check(value[figure] <= limit, value)


def _typed_query(setting: Setting) -> Check:
    """Compare sentences encoded as a typed query is with float64; a processor reads its weights in float16 for them."""
    explorer = _encoder(setting, 2, "float32")
    reference = _one_at_a_time(setting, 2)
    sentences = finish(explorer.sentences([explorer.captions.texts[row] for row in reference.rows]))
    words = [explorer.vectors.rows[sentences[i]] for i in range(len(sentences))]  # each (T, E)
    embeddings = np.stack([explorer.encoder.encode(each).embedding for each in words])  # (n, D)
    value = _distance_between(embeddings, reference.embeddings)
    if setting.device == "cpu":
        return Check(value["largest_cosine_distance"] <= 1e-5, value)
    return Check(value["largest_difference"] <= 1e-5, value)


def _interrupted_matrix(setting: Setting) -> Check:
    """Leave the making of a matrix midway and go on; every bit must be as without the interruption."""
    captions = setting.first(9_000 if setting.quick else 14_000)
    whole = setting.explorer(captions, cache="whole", dtype="auto")
    finish(whole.prepare())
    steps = setting.explorer(captions, cache="interrupted", dtype="auto").prepare()
    for step in steps:
        if step.stage == "encoding captions" and step.done > 0.6 * step.total:
            break
    steps.close()
    resumed = setting.explorer(captions, cache="interrupted", dtype="auto")
    finish(resumed.prepare())
    same = [
        np.array_equal(getattr(whole.matrix, name), getattr(resumed.matrix, name))
        for name in ("rows", "norms", "row_norms")
    ]
    value = {"rows": len(whole.matrix), "dtype": whole.dtype, "resumed_rows": resumed.report.resumed_rows}
    value["different_rows"] = int((whole.matrix.rows != resumed.matrix.rows).any(axis=1).sum())
    return Check(all(same) and resumed.report.resumed_rows > 0, value)


def _out_of_memory_encoding(setting: Setting) -> Check:
    """Encode with too little memory; what is halved must give the same embeddings."""
    explorer = _encoder(setting, 2, "float32")
    texts = explorer.captions.texts
    roomy, tight = (np.empty((len(texts), explorer.encoder.dim), np.float32) for _ in range(2))
    finish(explorer.embed(texts, roomy))
    peak = peak_bytes(setting.device, lambda: finish(explorer.embed(texts, roomy)))
    with limited_to(setting.device, int(peak * _ENOUGH)) as refusals:
        finish(explorer.embed(texts, tight))
    difference = float(np.abs(roomy - tight).max())
    value = {"refused": refusals.count, "peak_mb": peak / 1e6, "largest_difference": difference}
    value["identical_rows"] = float((roomy == tight).all(axis=1).mean())
    return Check(refusals.count > 0 and difference <= 1e-5, value)


def _first_hundred(setting: Setting) -> Check:
    """Compare the leading hits in a matrix of the official size with float64's over all rows."""
    n, dim = (20_000, 256) if setting.quick else (202_654, 4096)
    matrix = rows_that_share_a_mean(n, dim, device=setting.device)
    searcher = Searcher(matrix, device=setting.device)
    random = np.random.default_rng(5)
    own = n // 3
    queries = {
        "a caption": (matrix.rows[own].astype(np.float32), own),
        "near a caption": (matrix.rows[n // 2] + random.normal(size=dim).astype(np.float32) * 0.003, None),
        "anywhere": (random.normal(size=dim).astype(np.float32), None),
    }
    exact = _distances_slowly(np.stack([query for query, _ in queries.values()]), matrix.rows)  # (Q, N)
    equal = {}
    for (name, (query, own_row)), distances in zip(queries.items(), exact, strict=True):
        if own_row is not None:
            distances[own_row] = -1
        order = np.argsort(distances, kind="stable")
        found = searcher.nearest(query, own_row=own_row)
        whole = found.order()
        equal[name] = (
            found.leading.rows.tolist() == order[:LEADING].tolist()
            and found.leading.distances.tolist() == np.maximum(distances[order[:LEADING]], 0).tolist()
            and len(whole) == n
            and float(np.abs(whole.distances - np.maximum(distances[order], 0)).max()) < 1e-5
        )
    return Check(all(equal.values()), {"rows": n, "dim": dim, "read_on": searcher.device, "equal": equal})


def _explorer_answers(setting: Setting) -> Check:
    """Encode, calibrate and ask on the device and on the CPU, each with a cache of its own."""
    there, here = setting.demo(cache="demo"), setting.demo(cache="demo-cpu", device="cpu")
    for explorer in (there, here):
        _calibrated(explorer)
    rows = range(0, len(there.captions), max(1, len(there.captions) // 40))
    gaps, same, verdicts, asked = [], 0, 0, 0
    for method in _METHODS:
        answers = [[explorer.ask_caption(row, method=method) for row in rows] for explorer in (there, here)]
        for side, explorer in zip(answers, (there, here), strict=True):
            side += [explorer.ask(text, method=method) for text in _QUERIES]
        for ours, theirs in zip(*answers, strict=True):
            gaps.append(_gap(ours, theirs))
            same += ours.hits.rows[:10].tolist() == theirs.hits.rows[:10].tolist()
            verdicts += _level(ours) == _level(theirs)
            asked += 1
    value = {
        "answers": asked,
        "largest_difference_of_distances": max(gaps),
        "same_first_ten": same / asked,
        "same_verdict": verdicts / asked,
        "largest_difference_of_success": _success_gap(there.calibration, here.calibration),
    }
    return Check(max(gaps) < 1e-3 and value["largest_difference_of_success"] < 0.02, value)


def _named_device(setting: Setting) -> Check:
    """Name the device with its number; answers must be those of the unnumbered device."""
    name = f"{setting.device}:0" if setting.device == "cuda" else setting.device
    plain, named = setting.demo(cache="demo"), setting.demo(cache="demo", device=name)
    for explorer in (plain, named):
        _calibrated(explorer)
    before = named.calibration
    finish(named.calibrate(again=True))
    same = [_same(plain.ask(text), named.ask(text)) for text in _QUERIES]
    value = {"device": named.device, "same_answers": all(same)}
    value["largest_difference_of_success"] = _success_gap(before, named.calibration)
    return Check(all(same) and value["largest_difference_of_success"] < 0.02, value)


def _out_of_memory_calibration(setting: Setting) -> Check:
    """Calibrate with too little memory: answers go on meanwhile, and the result is as with enough."""
    explorer = setting.demo(cache="demo")
    _calibrated(explorer)
    before, answers = explorer.calibration, [explorer.ask(text) for text in _QUERIES]
    peak = peak_bytes(setting.device, lambda: finish(explorer.calibrate(again=True)))
    outcome = "finished"
    with limited_to(setting.device, int(peak * _ENOUGH)) as refusals:
        try:
            finish(explorer.calibrate(again=True))
        except AssetError as error:
            outcome = str(error)
        meanwhile = [explorer.ask(text, settled=False) for text in _QUERIES]
    value = {"refused": refusals.count, "peak_mb": peak / 1e6, "outcome": outcome}
    value["same_answers"] = all(_same(*pair) for pair in zip(answers, meanwhile, strict=True))
    value["largest_difference_of_success"] = _success_gap(before, explorer.calibration)
    return Check(_lost_nothing(value, refusals) and outcome == "finished", value)


def _out_of_memory_search(setting: Setting) -> Check:
    """Ask with no memory left on a GPU: the CPU answers instead."""
    if setting.device == "cpu":
        return Check(None, {"skipped": "a processor has no other device to go on with"})
    explorer = setting.demo(cache="demo")
    finish(explorer.prepare())
    rows = range(0, len(explorer.captions), max(1, len(explorer.captions) // 10))
    roomy = [explorer.neighbours(row) for row in rows]
    with limited_to(setting.device, 0) as refusals:
        tight = [explorer.neighbours(row) for row in rows]
    value: dict[str, Any] = {"refused": refusals.count}
    value["same_answers"] = all(_same(*pair) for pair in zip(roomy, tight, strict=True))
    return Check(refusals.count > 0 and value["same_answers"], value)


def _lost_nothing(value: dict[str, Any], refusals: Refusals) -> bool:
    return refusals.count > 0 and value["same_answers"] and value["largest_difference_of_success"] < 0.02


def _encoder(setting: Setting, version: int, dtype: str) -> Explorer:
    """An explorer whose encoder and captions are open, without a matrix."""
    captions = setting.first(300 if setting.quick else 6_000)
    explorer = setting.explorer(captions, cache="encoder", version=version, dtype=dtype)
    finish(explorer.open_encoder())
    finish(explorer.open_captions())
    return explorer


def _calibrated(explorer: Explorer) -> None:
    finish(explorer.prepare())
    finish(explorer.calibrate())


class _Reference(NamedTuple):
    rows: list[int]
    """Captions, evenly over their lengths, the shortest and the longest among them."""
    embeddings: NDArray[np.float64]
    """(n, D)."""


@cache
def _one_at_a_time(setting: Setting, version: int) -> _Reference:
    """Encode some captions, each alone, through torch's LSTM in float64 on the CPU."""
    explorer = _encoder(setting, version, "float32")
    texts = explorer.captions.texts
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    rows = [order[i] for i in np.linspace(0, len(order) - 1, 20 if setting.quick else 100).astype(int)]
    weights = torch.load(setting.weights, weights_only=True)
    lstm = torch.nn.LSTM(explorer.encoder.word_dim, explorer.encoder.dim // 2, bidirectional=True).double()
    lstm.load_state_dict({name.removeprefix("enc_lstm."): value for name, value in weights.items()})
    sentences = finish(explorer.sentences([texts[row] for row in rows]))
    with torch.inference_mode():
        words = [torch.from_numpy(explorer.vectors.rows[sentences[i]]).double() for i in range(len(rows))]
        embeddings = [lstm(each[:, None])[0][:, 0].max(dim=0).values.numpy() for each in words]
    return _Reference(rows, np.stack(embeddings))


def _distance_between(embeddings: NDArray[np.float32], exact: NDArray[np.float64]) -> dict[str, Any]:
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1) * np.linalg.norm(exact, axis=1)  # (N,)
    cosines = (embeddings * exact).sum(axis=1) / lengths  # (N,)
    return {
        "sentences": len(exact),
        "largest_difference": float(np.abs(embeddings - exact).max()),
        "largest_cosine_distance": float(1 - cosines.min()),
    }


def _distances_slowly(queries: NDArray[np.float32], rows: NDArray[np.float16]) -> NDArray[np.float64]:
    """Scipy's cosine distances in float64 from every query to every row, (Q, N)."""
    wide = queries.astype(np.float64)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        blocks = [rows[at : at + 2048] for at in range(0, len(rows), 2048)]
        return np.hstack(list(pool.map(lambda block: cdist(wide, block.astype(np.float64), "cosine"), blocks)))


def _gap(ours: Answer, theirs: Answer) -> float:
    """The largest difference of distances at the same rank, and of a hit's distance in both lists."""
    mine, other = (
        dict(zip(each.hits.rows.tolist(), each.hits.distances.tolist(), strict=True)) for each in (ours, theirs)
    )
    by_rank = np.abs(ours.hits.distances - theirs.hits.distances).max(initial=0)
    return max(float(by_rank), *(abs(mine[row] - other[row]) for row in mine.keys() & other.keys()), 0.0)


def _same(ours: Answer, theirs: Answer) -> bool:
    return (
        ours.hits.rows.tolist() == theirs.hits.rows.tolist()
        and ours.hits.distances.tolist() == theirs.hits.distances.tolist()
    )


def _level(answer: Answer) -> str | None:
    return None if answer.verdict is None else answer.verdict.level


def _success_gap(ours: Calibration | None, theirs: Calibration | None) -> float:
    """The largest difference of a method's success at any length; infinite when something was not measured."""
    if ours is None or theirs is None or len(ours.curve) != len(theirs.curve):
        return float("inf")
    pairs = zip(ours.curve, theirs.curve, strict=True)
    return max(abs(a.by_method[method][0] - b.by_method[method][0]) for a, b in pairs for method in a.by_method)
