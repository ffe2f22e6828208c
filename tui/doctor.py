"""The examination behind `infersent-tui doctor`: what is in use, from where, and whether it fits together."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from core.assets import AssetError
from tui.pace import run_steps

if TYPE_CHECKING:
    from core.explorer import Explorer
    from tui.options import Options

_LEAST_COSINE = 0.999  # bfloat16 leaves 0.9999 and more
_PACKAGES = ("torch", "numpy", "scipy", "nltk", "pandas", "textual")


def examine(options: Options) -> dict[str, Any]:
    """Look at what the options name; nothing is converted or encoded but random sentences on a GPU, to check it.

    Returns:
        Plain values; `ok` is False when something cannot be used, and `problems` says what.
    """
    cache = options.open_cache()
    document: dict[str, Any] = {"ok": True, "problems": []}
    try:
        explorer = options.open_explorer()
        document |= _describe(explorer)
        cache = explorer.cache
        if "self_check" in document and not document["self_check"]["least_cosine"] > _LEAST_COSINE:
            document["ok"] = False
            document["problems"].append(f"{explorer.device} computes wrongly: use --device cpu")
    except AssetError as error:
        document |= {"ok": False, "problems": str(error).splitlines()}
    document["cache"] = {"path": str(cache.root), "bytes": cache.size()}
    document["problems"] += cache.problems
    document["versions"] = {package: _version(package) for package in ("infersent-tui", *_PACKAGES)}
    document["versions"]["python"] = platform.python_version()
    return document


def _version(package: str) -> str:
    """The installed version; a checkout can be run without being installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _describe(explorer: Explorer) -> dict[str, Any]:
    from core.corpus.vectors import WordVectors, read_dim
    from core.encoding.encoder import SentenceEncoder
    from core.encoding.matrix import unfinished_rows
    from core.store.whole import is_whole

    run_steps(explorer.identify(), quiet=False)
    run_steps(explorer.open_captions(), quiet=False)
    assets, captions = explorer.assets, explorer.captions
    vectors: dict[str, Any] = {"path": str(assets.vectors)}
    if WordVectors.is_converted(explorer.vectors_folder):
        run_steps(explorer.open_encoder(), quiet=False)
        encoder, opened = explorer.encoder, explorer.vectors
        vectors |= {
            "state": "converted",
            "words": len(opened),
            "dim": opened.dim,
            "broken_lines": opened.broken_lines,
            "missing_lines": opened.missing_lines,
        }
    else:
        encoder = SentenceEncoder.load(assets.weights, device=explorer.device, dtype=explorer.dtype)
        vectors |= {"state": "not converted yet", "dim": read_dim(assets.vectors)}
        explorer.check_word_dim(encoder, vectors["dim"])
    checked = {}
    if explorer.device.startswith("cuda"):
        checked = {"self_check": {"beside": "float32 on the CPU", "least_cosine": explorer.self_check(encoder)}}
    folder = explorer.matrix_folder
    rows = unfinished_rows(folder)
    if is_whole(folder, explorer.recipe().origin()):
        state = "whole"
    elif not folder.exists():
        state = "not encoded yet"
    elif rows is None:
        state = "damaged: it is encoded again at the next start"
    else:
        state = f"unfinished: {rows:,} rows"
    return {
        "model": {
            "name": explorer.model_name,
            "path": str(assets.weights),
            "version": assets.version,
            "word_dim": encoder.word_dim,
            "dim": encoder.dim,
        },
        "vectors": vectors,
        "captions": {
            "name": captions.name,
            "path": str(assets.captions),
            "rows": len(captions),
            "blank": captions.blank,
            "images": None if captions.groups is None else len(set(captions.groups.tolist()) - {""}),
        },
        "matrix": {"path": str(folder), "state": state},
        "device": explorer.device,
        "dtype": explorer.dtype,
        "tokenizer": explorer.tokenizer.name,
    } | checked
