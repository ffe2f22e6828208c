"""Doctor: which files and settings are in use, and whether they work together."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from core.assets import AssetError
from tui.documents import corpus_document
from tui.keys import usable_keys
from tui.pace import run_steps
from tui.settings import config_path, read_settings

if TYPE_CHECKING:
    from core.corpus.vec_file import VecFile
    from core.encoding.encoder import SentenceEncoder
    from core.opening import Places
    from core.setup import Setup
    from core.store.cache import Cache
    from tui.options import Options

_COMPILER = {"cuda": "by NVRTC, a part of torch", "cpu": "by Numba; is NUMBA_DISABLE_JIT set?"}
_LEAST_COSINE = 0.999  # bfloat16 gives 0.9999 or more
_PACKAGES = ("torch", "numpy", "scipy", "nltk", "pandas", "textual")


def examine(options: Options, *, deep: bool = False) -> dict[str, Any]:
    """Examine the files and settings. Converts and encodes nothing, except random sentences that check a GPU.

    Args:
        options: What names them.
        deep: Whether all computed files are read.

    Returns:
        Values for JSON. `ok` is False when something cannot be used, and `problems` describes it.
    """
    cache = options.open_cache()
    bad = run_steps(cache.check(), quiet=False) if deep else []
    document: dict[str, Any] = {"ok": not bad, "problems": bad}
    try:
        try:
            setup = options.setup()
            document |= _describe(setup, cache) if options.store is None else _describe_store(options, setup, cache)
        except AssetError as error:
            if options.against is None:
                raise
            document |= {"ok": False, "problems": [*bad, *str(error).splitlines()]}
            setup = replace(options, against=None, against_vectors=None).setup()
            document |= _describe(setup, cache)
        if document.get("compiled_steps") is False:
            document["problems"].append(
                f"encoding is slow: its steps cannot be compiled here ({_COMPILER[setup.device[:4]]})"
            )
        if "self_check" in document and not document["self_check"]["least_cosine"] > _LEAST_COSINE:
            document["ok"] = False
            document["problems"].append(f"{setup.device} computes wrong embeddings: use --device cpu")
    except AssetError as error:
        document |= {"ok": False, "problems": [*bad, *str(error).splitlines()]}
    settings = read_settings(config_path())
    wrong = [*settings.problems, *usable_keys(settings.keys)[1]]
    document["config"] = {"path": str(settings.path), "problems": wrong}
    document["cache"] = {"path": str(cache.root), "bytes": cache.size()}
    document["problems"] += cache.problems
    document["versions"] = {package: _version(package) for package in ("infersent-tui", *_PACKAGES)}
    document["versions"]["python"] = platform.python_version()
    return document


def _version(package: str) -> str:
    """Return the installed version; a checkout also runs without installation."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _describe(setup: Setup, cache: Cache) -> dict[str, Any]:
    from core.encoding.given import read_embeddings
    from core.encoding.self_check import least_cosine
    from core.opening import locate

    places = run_steps(locate(setup, cache), quiet=False)
    captions, document = places.captions, dict[str, Any]()
    if setup.assets.embeddings is not None:
        rows = read_embeddings(setup.assets.embeddings, len(captions))
        document = {"embeddings": {"path": str(setup.assets.embeddings), "dim": rows.shape[1], "type": str(rows.dtype)}}
        if places.vec_file is not None:
            document["vectors"] = _describe_vectors(setup, places, places.vec_file)
    else:
        document, encoder = _describe_encoder(setup, places)
        if setup.device.startswith("cuda"):
            weights, _ = setup.encoder_files()
            cosine = least_cosine(encoder, weights)
            document["self_check"] = {"beside": "float32 on the CPU", "least_cosine": cosine}
        document["compiled_steps"] = encoder.has_compiled_steps
    if setup.second is not None and places.second is not None:
        second, _ = _describe_encoder(setup.second, places.second)
        document["against"] = second | {"matrix": _describe_matrix(setup.second, places.second, cache)}
    return document | {
        "captions": {
            "name": captions.name,
            "path": str(setup.assets.captions),
        }
        | corpus_document(captions),
        "matrix": _describe_matrix(setup, places, cache),
        "device": setup.device,
        "dtype": setup.dtype,
        "tokenizer": places.recipe.tokenizer,
    }


def _describe_store(options: Options, setup: Setup, cache: Cache) -> dict[str, Any]:
    from core.cluster.opening import examine_store

    weights, vectors = setup.encoder_files()
    return {
        "store": run_steps(examine_store(setup, cache, str(options.store)), quiet=False),
        "model": {"path": str(weights)},
        "vectors": {"path": str(vectors)},
        "device": setup.device,
        "cluster": {package: _version(package) for package in ("lancedb", "pyarrow", "ray")},
    }


def _describe_encoder(setup: Setup, places: Places) -> tuple[dict[str, Any], SentenceEncoder]:
    weights, _ = setup.encoder_files()
    assert places.vec_file is not None
    vectors = _describe_vectors(setup, places, places.vec_file)
    encoder = setup.load_encoder(vectors["dim"])
    document = {
        "model": {
            "name": setup.model_name,
            "path": str(weights),
            "trained": not setup.untrained,
            "version": setup.assets.version,
            "word_dim": encoder.word_dim,
            "dim": encoder.dim,
            "passed_over": list(encoder.passed_over),
        },
        "vectors": vectors,
    }
    return document, encoder


def _describe_matrix(setup: Setup, places: Places, cache: Cache) -> dict[str, str]:
    from core.opening import shards_of

    shards, state = shards_of(setup, places, cache), _matrix_state(places)
    if not shards.is_joined:
        for count in shards.begun():
            state += f"; {count - len(shards.missing(count)):,} of {count:,} shards encoded"
    return {"path": str(places.matrix), "state": state}


def _describe_vectors(setup: Setup, places: Places, vec_file: VecFile) -> dict[str, Any]:
    """Describe the word vectors; once they are converted, check that they have the sentence marks."""
    from core.corpus.vectors import WordVectors
    from core.opening import open_vocabulary

    document: dict[str, Any] = {"path": str(vec_file.path)}
    if vec_file.member is not None:
        document["member"] = vec_file.member
    if not WordVectors.is_converted(places.vectors):
        return document | {"state": "not converted yet", "dim": vec_file.read_dim()}
    vectors = run_steps(open_vocabulary(setup, vec_file, places.vectors), quiet=False).vectors
    return document | {
        "state": "converted",
        "words": len(vectors),
        "dim": vectors.dim,
        "broken_lines": vectors.broken_lines,
        "missing_lines": vectors.missing_lines,
    }


def _matrix_state(places: Places) -> str:
    from core.encoding.row_files import unfinished_rows
    from core.store.whole import is_whole

    rows = unfinished_rows(places.matrix)
    if is_whole(places.matrix, places.recipe.origin()):
        return "whole"
    if not places.matrix.exists():
        return "not encoded yet"
    return "damaged: the next start encodes it again" if rows is None else f"unfinished: {rows:,} rows"
