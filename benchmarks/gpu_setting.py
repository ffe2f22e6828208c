"""Hold the device and the files that the checks and figures of a GPU share, and open them."""

from __future__ import annotations

import gzip
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.material import COCO, HIDDEN, full_size_files
from core.assets import DEMO_DIR, Assets
from core.explorer import Explorer
from core.opening import open_
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish


@dataclass(frozen=True)
class Setting:
    """Device and files of one run."""

    device: str
    """`cpu`, `cuda` or `cuda:N`."""
    quick: bool
    """Use small weights and few captions, to check that everything runs."""
    folder: Path
    """Where files are written."""
    weights: Path
    """Random weights, of the official size unless `quick`."""
    vectors: Path
    """Random word vectors for all words of the captions."""

    @classmethod
    def write(cls, device: str, *, quick: bool, folder: Path) -> Setting:
        """Write weights and vectors into a folder."""
        return cls(device, quick, folder, *full_size_files(folder, hidden=64 if quick else HIDDEN))

    @property
    def captions(self) -> Path:
        """The COCO captions where they are present, else the bundled ones."""
        return COCO if COCO.exists() else DEMO_DIR / "captions.json"

    def first(self, count: int, *, of: Path | None = None) -> Path:
        """Write the first captions of a file in COCO's layout; the missing ones are made of two halves."""
        source = of or self.captions
        target = self.folder / f"{source.name.split('.')[0]}-{count}.json"
        if not target.exists():
            data = source.read_bytes()
            document: dict[str, Any] = json.loads(gzip.decompress(data) if source.suffix == ".gz" else data)
            captions = document["annotations"]
            pairs = zip(itertools.cycle(captions), itertools.cycle(captions[7:]), strict=False)  # lengths differ
            composed = ({**one, "caption": _compose(one["caption"], other["caption"])} for one, other in pairs)
            missing = itertools.islice(enumerate(composed, start=10_000_000), max(0, count - len(captions)))
            document["annotations"] = captions[:count] + [caption | {"id": number} for number, caption in missing]
            target.write_text(json.dumps(document), encoding="utf-8")
        return target

    def cache(self, name: str) -> Cache:
        """Open a cache in the folder."""
        return Cache(self.folder / name)

    def setup(self, captions: Path, *, version: int = 2, dtype: str = "float32") -> Setup:
        """Set up the random weights and vectors, with some captions."""
        return Setup.choose(Assets(self.weights, self.vectors, captions, version), device=self.device, dtype=dtype)

    def demo(self, *, cache: str, device: str | None = None, dtype: str = "float32") -> Explorer:
        """Open the bundled encoder and captions; encode the captions unless they are in the cache."""
        captions = self.first(150, of=DEMO_DIR / "captions.json") if self.quick else None
        setup = Setup.choose(Assets.find(captions=captions), device=device or self.device, dtype=dtype)
        return Explorer(finish(open_(setup, self.cache(cache))))


def _compose(one: str, other: str) -> str:
    """Join the first half of a caption and the second half of another."""
    first, second = one.split(), other.split()
    return " ".join(first[: (len(first) + 1) // 2] + second[len(second) // 2 :])
