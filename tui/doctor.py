"""The examination behind `infersent-tui doctor`: what is in use, from where, and whether it fits together."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from core.assets import AssetError
from core.store.progress import finish
from tui.pace import run_steps

if TYPE_CHECKING:
    from core.explorer import Explorer
    from tui.options import Options

_LEAST_COSINE = 0.999  # bfloat16 leaves 0.9999 and more
_PACKAGES = ("torch", "numpy", "scipy", "nltk", "pandas", "textual")


def examine(options: Options) -> dict[str, Any]:
    """Open what the options name, as far as that goes; encode nothing but a few captions on a GPU, to check it.

    Returns:
        Plain values; `ok` is False when something cannot be used, and `problems` says what.
    """
    cache = options.open_cache()
    document: dict[str, Any] = {"ok": True, "problems": []}
    try:
        explorer = options.open_explorer()
        document |= _describe(explorer)
        cache = explorer.cache
        if explorer.device.startswith("cuda"):
            cosine = finish(explorer.self_check())
            document["self_check"] = {"least_cosine_to_float32_on_cpu": cosine}
            if not cosine > _LEAST_COSINE:
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
    from core.encoding.matrix import unfinished_rows
    from core.store.whole import is_whole

    run_steps(explorer.open_encoder(), quiet=False)
    run_steps(explorer.open_captions(), quiet=False)
    assets, vectors, captions = explorer.assets, explorer.vectors, explorer.captions
    folder = explorer.cache.folder("matrix", explorer.recipe().key)
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
            "word_dim": explorer.encoder.word_dim,
            "dim": explorer.encoder.dim,
        },
        "vectors": {
            "path": str(assets.vectors),
            "words": len(vectors),
            "dim": vectors.dim,
            "broken_lines": vectors.broken_lines,
            "missing_lines": vectors.missing_lines,
        },
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
    }
