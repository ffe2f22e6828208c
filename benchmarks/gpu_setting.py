"""What the checks and figures of a GPU share: the files, and explorers over them."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.material import HIDDEN, SUBSET, full_size_files
from core.assets import DEMO_DIR, Assets
from core.cache import Cache
from core.explorer import Explorer


@dataclass(frozen=True)
class Setting:
    """One run on one device."""

    device: str
    """`cpu`, `cuda` or `cuda:N`."""
    quick: bool
    """Small weights and few captions: to see that everything runs."""
    place: Path
    """A folder for what is written."""
    weights: Path = field(init=False)
    """Random weights, of the official size unless `quick`."""
    vectors: Path = field(init=False)
    """Random vectors for all words of the captions."""

    def __post_init__(self) -> None:
        weights, vectors = full_size_files(self.place, hidden=64 if self.quick else HIDDEN)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "vectors", vectors)

    @property
    def captions(self) -> Path:
        """COCO's captions where they are present, else the bundled ones."""
        return SUBSET if SUBSET.exists() else DEMO_DIR / "captions.json"

    def first(self, count: int, *, of: Path | None = None) -> Path:
        """A file of the first captions of another, in COCO's layout."""
        source = of or self.captions
        target = self.place / f"{source.name.split('.')[0]}-{count}.json"
        if not target.exists():
            data = source.read_bytes()
            document = json.loads(gzip.decompress(data) if source.suffix == ".gz" else data)
            document["annotations"] = document["annotations"][:count]
            target.write_text(json.dumps(document), encoding="utf-8")
        return target

    def explorer(
        self, captions: Path, *, cache: str, version: int = 2, dtype: str = "float32", device: str | None = None
    ) -> Explorer:
        """An explorer with the random weights, not prepared."""
        assets = Assets(self.weights, self.vectors, captions, version)
        return Explorer(assets, Cache(self.place / cache), device=device or self.device, dtype=dtype)

    def demo(self, *, cache: str, device: str | None = None) -> Explorer:
        """An explorer with the bundled encoder and captions, not prepared."""
        captions = self.first(150, of=DEMO_DIR / "captions.json") if self.quick else None
        assets = Assets.find(captions=captions)
        return Explorer(assets, Cache(self.place / cache), device=device or self.device, dtype="float32")
