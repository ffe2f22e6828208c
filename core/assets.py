"""Assets: find the weights, word vectors and captions to use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.shortage import is_of_machine, shortage

DEMO_DIR = Path(__file__).parent / "demo"

# Official file names that --data-dir looks for, in order of preference.
_WEIGHTS_NAMES = {2: ("infersent2.pkl",), 1: ("infersent1.pkl",)}
_VECTORS_NAMES = {
    2: ("crawl-300d-2M.vec", "crawl-300d-2M.vec.gz", "crawl-300d-2M.vec.zip"),
    1: ("glove.840B.300d.txt", "glove.840B.300d.txt.gz", "glove.840B.300d.zip"),
}
_CAPTIONS_NAMES = tuple(
    f"captions_{split}.json{packed}"
    for split in ("val2014", "val2017", "train2014", "train2017")
    for packed in ("", ".gz")
)
_SEARCH_DEPTH = 4
_LONGEST = 2000  # characters of each part of an error
_LINE_ENDS = re.compile("[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")  # where Python splits a text into lines

RANDOM = "random"
"""Stands for the weights of an encoder that nobody has trained."""

DEVICE_NAMES = "auto, cpu, cuda, cuda:N"
"""The device names that `--device` accepts."""


def version_of(weights: Path) -> int | None:
    """Return the version of InferSent that the name of weights tells, by a separate `1` or `2`; None where none is."""
    digit = re.search(r"(?<!\d)[12](?!\d)", weights.stem)
    return int(digit[0]) if digit else None


def is_device_name(name: str) -> bool:
    """Tell whether a text has the form of a device name; the device may be absent."""
    return re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name) is not None


class AssetError(Exception):
    """A user's file that is missing, wrong, empty or damaged.

    `found` says what is wrong with it, `expected` what it should be and `advice` what the user can do; either of the
    last two may be empty. Of very long ones, as where a file has names of megabytes, the beginning is kept. Line ends
    within names are shown as signs: each part is one line of the error.
    """

    def __init__(self, path: str | Path, found: str, *, expected: str = "", advice: str = "") -> None:
        self.path = str(path)
        self.found, self.expected, self.advice = map(_line, (found, expected, advice))
        about = f"{_line(self.path)}: {self.found}"
        parts = {"": about, "expected: ": self.expected, "what to do: ": self.advice}
        super().__init__("\n".join(label + text for label, text in parts.items() if text))

    def about_second(self) -> AssetError:
        """Return the error with the options that name a second encoder in place of those that name the first."""
        advice = re.sub(", or the right version with --model-version", "", self.advice)
        advice = advice.replace("--vectors", "--against-vectors").replace("--model", "--against")
        return AssetError(self.path, self.found, expected=self.expected, advice=advice)

    @classmethod
    def from_os_error(cls, path: str | Path, error: OSError) -> AssetError:
        """Describe a file that the operating system could not open, read or write."""
        if isinstance(error, FileNotFoundError):
            return cls(path, "no such file", advice="check the path")
        if isinstance(error, PermissionError):
            return cls(path, "permission denied", advice="change its permissions, or name another path")
        if isinstance(error, IsADirectoryError):
            return cls(path, "is a folder", expected="a file", advice="name the file in it")
        if short := cls.from_shortage(path, error):
            return short
        return cls(path, error.strerror or str(error), advice="check the path and the disk")

    @classmethod
    def from_shortage(cls, path: str | Path, error: BaseException) -> AssetError | None:
        """Describe that memory, threads or open files ran out at a path, or while something was done; else None."""
        short = shortage(error)
        return short and cls(path, short.found, advice=f"{short.advice}; finished work is kept")

    @classmethod
    def from_reader(
        cls, path: str | Path, error: Exception, found: str, *, expected: str = "", advice: str
    ) -> AssetError:
        """Describe a file that a library could not read: what is wrong with it, unless it is the disk or the memory."""
        if isinstance(error, OSError) and is_of_machine(error):
            return cls.from_os_error(path, error)
        if short := shortage(error):  # or the file claims more than there can be
            return cls(path, f"{short.found}, or it is damaged", advice=f"{short.advice}; else {advice}")
        return cls(path, found, expected=expected, advice=advice)


def first_names(names: Sequence[str], most: int = 3) -> str:
    """List the first names: `classifier.weight, classifier.bias`."""
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")


def _line(text: str) -> str:
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return _LINE_ENDS.sub(lambda end: chr(0x2400 + ord(end[0])) if end[0] < " " else f"\\u{ord(end[0]):04x}", text)


@dataclass(frozen=True, slots=True)
class Assets:
    """The files that determine every answer."""

    weights: Path | None
    """State dict of the encoder; None where embeddings are given."""
    vectors: Path | None
    """Word vectors, a `.vec` text file that may be compressed; None where embeddings are given without."""
    captions: Path
    """Corpus; `-` is standard input."""
    version: int
    """InferSent version, 1 or 2."""
    embeddings: Path | None = None
    """Embeddings of the captions that the user gives, in place of an encoder's."""

    @property
    def files(self) -> list[Path]:
        """The files in use."""
        return [path for path in (self.weights, self.vectors, self.embeddings, self.captions) if path is not None]

    @property
    def is_demo_encoder(self) -> bool:
        """Whether the encoder is the bundled one."""
        return self.weights is not None and self.weights.parent == DEMO_DIR

    @property
    def is_demo_captions(self) -> bool:
        """Whether the captions are the bundled ones."""
        return self.captions.parent == DEMO_DIR

    @classmethod
    def find(
        cls,
        *,
        data_dir: Path | None = None,
        weights: Path | None = None,
        vectors: Path | None = None,
        captions: Path | None = None,
        embeddings: Path | None = None,
        version: int | None = None,
    ) -> Assets:
        """Choose the named files, else those in `data_dir`, else the bundled demo.

        The weights and vectors of the demo are used only together. Embeddings need neither.

        Args:
            data_dir: Folder that holds files under their official names, up to four levels deep.
            weights: State dict.
            vectors: Word vectors.
            captions: Corpus.
            embeddings: Embeddings of the captions.
            version: InferSent version; None takes the first separate `1` or `2` in the name of the weights, else 2.

        Raises:
            AssetError: A named file is missing, only one of weights and vectors was found, or weights are named beside
                embeddings.
        """
        for named in (weights, vectors, captions, embeddings):
            if named is not None and str(named) != "-":
                _check_file(named)
        found = _Folder(data_dir) if data_dir is not None else None
        if captions is None and found:
            captions = found.first(*_CAPTIONS_NAMES)
        if embeddings is not None:
            if weights is not None:
                text, advice = "these embeddings are given, and also weights", "leave out --model, or --embeddings"
                raise AssetError(embeddings, text, expected="one of the two", advice=advice)
            return cls(None, vectors, captions or DEMO_DIR / "captions.json", version or 2, embeddings)
        if weights is None and found:
            weights = found.weights([version] if version else [2, 1], with_vectors=vectors is None)
        if version is None:
            version = (version_of(weights) if weights is not None else None) or 2
        if vectors is None and found and weights is not None:
            vectors = found.first(*_VECTORS_NAMES[version])
        if found and weights is None and captions is None:
            fetching = f"infersent-tui fetch --data-dir {found.path}"
            raise AssetError(
                found.path,
                f"none of the official files is in it (searched {_SEARCH_DEPTH} folders deep)",
                expected="infersent2.pkl, crawl-300d-2M.vec, captions_val2014.json",
                advice=f"name the files with --model, --vectors and --captions, or fetch them: {fetching}",
            )
        _check_pair(weights, vectors, version, data_dir)
        if weights is None or vectors is None:
            if version == 1:
                raise AssetError(
                    "--model-version 1", "the bundled demo encoder is version 2", advice="name --model too"
                )
            weights, vectors = DEMO_DIR / "encoder.pkl", DEMO_DIR / "vectors.vec.gz"
        return cls(weights, vectors, captions or DEMO_DIR / "captions.json", version)


def _check_pair(weights: Path | None, vectors: Path | None, version: int, data_dir: Path | None) -> None:
    """Raise `AssetError` where only one of weights and vectors is there."""
    if (weights is None) != (vectors is None):
        given, missing = ("weights", "vectors") if vectors is None else ("vectors", "weights")
        option = {"vectors": "--vectors", "weights": "--model"}[missing]
        official = {"weights": f"infersent{version}", "vectors": "crawl" if version == 2 else "glove"}[missing]
        fetching = f"infersent-tui fetch {official}" + (f" --data-dir {data_dir}" if data_dir is not None else "")
        raise AssetError(
            weights or vectors or "",
            f"these {given} are given without {missing}",
            expected=f"{missing} for InferSent version {version}",
            advice=f"name them with {option}, or fetch them: {fetching}",
        )


def _check_file(path: Path) -> None:
    """Raise `AssetError` for a path that is no plain file, such as a folder, or a pipe, whose reading may never end."""
    try:
        if path.is_file():
            return
        found = "is a folder" if path.is_dir() else "is not a plain file" if path.exists() else "no such file"
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error
    raise AssetError(path, found, expected="a file", advice="check the path")


class _Folder:
    """Files in a folder by name, searched to a limited depth.

    Of equal names the first plain file in sorted order counts.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            found = "is a file" if path.exists() else "no such folder"
            raise AssetError(path, found, expected="a folder", advice="check the path")
        self.path = path
        self._files: dict[str, list[Path]] = {}
        for file in self._walk():
            self._files.setdefault(file.name, []).append(file)

    def first(self, *names: str) -> Path | None:
        for path in (path for name in names for path in self._files.get(name, ())):
            with suppress(AssetError):
                _check_file(path)
                return path
        return None

    def weights(self, versions: Sequence[int], *, with_vectors: bool) -> Path | None:
        """Find the weights of the first version that also has vectors, if any has, else of the first one."""
        there = {version: path for version in versions if (path := self.first(*_WEIGHTS_NAMES[version]))}
        whole = [path for version, path in there.items() if with_vectors and self.first(*_VECTORS_NAMES[version])]
        return next(iter([*whole, *there.values()]), None)

    def _walk(self) -> Iterator[Path]:
        def refuse(error: OSError) -> None:
            if error.filename == str(self.path):  # folders in it may be those of others
                raise AssetError.from_os_error(self.path, error) from error

        root_depth = len(self.path.parts)
        # The depth limit breaks link cycles.
        for folder, folders, files in os.walk(self.path, onerror=refuse, followlinks=True):
            folders.sort()
            if len(Path(folder).parts) - root_depth >= _SEARCH_DEPTH:
                folders.clear()
            yield from (Path(folder, name) for name in sorted(files))
