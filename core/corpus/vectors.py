"""WordVectors: a `.vec` text file, converted once to a memory-mapped store that opens in milliseconds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError
from core.corpus.tokenizer import Tokenizer
from core.corpus.vec_file import VecFile, parse_lines
from core.store.progress import Progress, Steps
from core.store.whole import Origin, is_whole, make_folder

_TEXTS_PER_STEP = 2048  # texts between two progress reports

FORMAT = 3
"""Version of the store's layout; part of its key."""


class WordVectors:
    """V words and their vectors, on disk.

    A word is looked up by the 64-bit BLAKE2b hash of its UTF-8 bytes in a sorted array, then compared. The arrays are
    memory-mapped, so that opening two million words takes almost no time or memory.

    Args:
        folder: A store made by `convert`.
        vocab_size: Only the first `vocab_size` words of the file, and the marks, are known; None for all.
    """

    def __init__(self, folder: Path, *, vocab_size: int | None = None) -> None:
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        self.folder = folder
        self.broken_lines: int = info["broken_lines"]
        """Number of lines that are not a word with its vector; they are skipped."""
        self.missing_lines: int = info["missing_lines"]
        """Number of lines that the header line announces but the file lacks, because it was cut off."""
        self.rows: NDArray[np.float32] = np.load(folder / "rows.npy", mmap_mode="r")  # (V, E)
        self._hashes: NDArray[np.uint64] = np.load(folder / "hashes.npy", mmap_mode="r")  # (V,), ascending
        self._order: NDArray[np.int32] = np.load(folder / "order.npy", mmap_mode="r")  # (V,), row of each hash
        self._starts: NDArray[np.int64] = np.load(folder / "starts.npy", mmap_mode="r")  # (V + 1,), offset of each word
        self._words: NDArray[np.uint8] = np.memmap(folder / "words.bin", np.uint8, mode="r")  # (bytes,), UTF-8
        self.vocab_size = len(self.rows) if vocab_size is None else min(vocab_size, len(self.rows))

    def __len__(self) -> int:
        return self.vocab_size

    @property
    def dim(self) -> int:
        """E, the width of a word vector."""
        return int(self.rows.shape[1])

    def word(self, row: int) -> str:
        """Return the word of a row."""
        return self._words[self._starts[row] : self._starts[row + 1]].tobytes().decode("utf-8", "replace")

    def find(self, words: Sequence[str], *, always: Iterable[str] = ()) -> NDArray[np.int32]:
        """Look up words.

        Args:
            words: Words, exactly as in the file.
            always: Words to find even beyond `vocab_size`: the marks.

        Returns:
            Row of each word, (len(words),); -1 where it is unknown.
        """
        encoded = [word.encode("utf-8", "surrogatepass") for word in words]
        hashes = _hash(encoded)  # (len(words),)
        found = np.full(len(words), -1, np.int32)  # (len(words),)
        always = set(always)
        for i, first in enumerate(np.searchsorted(self._hashes, hashes).tolist()):
            slot = first
            while slot < len(self._hashes) and self._hashes[slot] == hashes[i]:  # hashes may collide
                row = int(self._order[slot])
                if self._words[self._starts[row] : self._starts[row + 1]].tobytes() == encoded[i]:
                    if row < self.vocab_size or words[i] in always:
                        found[i] = row
                    break
                slot += 1
        return found

    @staticmethod
    def is_converted(folder: Path) -> bool:
        """Check that a folder holds a complete store made by `convert`."""
        return is_whole(folder, _origin(folder))

    @classmethod
    def convert(cls, file: VecFile, folder: Path) -> Steps[None]:
        """Convert a file of word vectors into a store, unless the store exists.

        The store appears complete or not at all, even when several processes convert the file at the same time. Broken
        lines are skipped and counted. If a word occurs twice, its first line counts.

        Raises:
            AssetError: The file is missing, damaged, or not a vector file, or has changed since it was hashed; the disk
                is full or read-only.
        """
        yield from make_folder(
            *(folder, _origin(folder, file.path.name), lambda work: _convert(file, work)),
            doing="converts these vectors",
        )

    @classmethod
    def of_texts(cls, texts: Sequence[str], tokenizer: Tokenizer, folder: Path) -> Steps[None]:
        """Make a store of the words of some texts, with the sentence marks, unless it exists.

        It stands in for vectors where there are none: each word has the vector (0,).

        Raises:
            AssetError: The disk is full or read-only.
        """

        def write(work: Path) -> Steps[None]:
            words = dict.fromkeys(tokenizer.marks)
            for i, text in enumerate(texts):
                words |= dict.fromkeys(tokenizer.tokenize(text))
                if i % _TEXTS_PER_STEP == 0:
                    yield Progress("collecting words", i, len(texts), "captions")
            np.save(work / "rows.npy", np.zeros((len(words), 1), np.float32))
            _write_index(work, [word.encode("utf-8", "surrogatepass") for word in words], broken=0, missing=0)

        yield from make_folder(folder, _origin(folder, "words of captions"), write, doing="collects these words")


def _origin(folder: Path, about: str = "") -> Origin:
    return Origin(folder.name, FORMAT, about)


def _hash(words: Sequence[bytes]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(word, digest_size=8).digest() for word in words)
    return np.frombuffer(digests, np.uint64)  # (len(words),)


def _convert(file: VecFile, folder: Path) -> Steps[None]:
    try:
        total = file.path.stat().st_size / 1e6
    except OSError as error:
        raise AssetError.from_os_error(file.path, error) from error
    words: list[bytes] = []
    seen: set[bytes] = set()
    broken = lines_read = promised = dim = 0
    with (folder / "rows.npy").open("wb") as rows_file:
        rows_file.write(bytes(128))  # space for the header, because the row count is known at the end
        for lines, read in file.blocks():
            if not dim:
                promised, dim = file.read_shape(lines)
            new_words, rows, skipped = parse_lines(lines, dim)
            broken += skipped
            lines_read += len(new_words) + skipped
            is_new = np.ones(len(new_words), bool)  # (b,)
            for i, word in enumerate(new_words):
                is_new[i] = word not in seen
                seen.add(word)
            words += [word for word, new in zip(new_words, is_new, strict=True) if new]
            kept = rows if is_new.all() else rows[is_new]  # (words added, E)
            rows_file.write(kept.data)
            yield Progress("converting word vectors", min(read / 1e6, total), total, "MB")
        if not words:
            raise file.error("no line of it is a word with its vector" if dim else "is empty")
        rows_file.seek(0)
        _write_header(rows_file, (len(words), dim))
    if file.state is not None:
        file.state.check()
    yield Progress("indexing words", 0, 0, "")
    missing = promised - lines_read
    _write_index(folder, words, broken=broken, missing=missing if missing > 1 else 0)  # many headers count the marks


def _write_index(folder: Path, words: Sequence[bytes], *, broken: int, missing: int) -> None:
    """Write the words, by which rows are found, and the numbers of broken and missing lines."""
    hashes = _hash(words)  # (V,)
    order = np.argsort(hashes, kind="stable").astype(np.int32)  # (V,)
    lengths = np.fromiter(map(len, words), np.int64, len(words))  # (V,), bytes
    np.save(folder / "hashes.npy", hashes[order])
    np.save(folder / "order.npy", order)
    np.save(folder / "starts.npy", np.concatenate([[0], np.cumsum(lengths)]))  # (V + 1,)
    (folder / "words.bin").write_bytes(b"".join(words))
    info = {"broken_lines": broken, "missing_lines": missing}
    (folder / "info.json").write_text(json.dumps(info), encoding="utf-8")


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    text = repr(header).encode("latin1")
    text += b" " * (128 - 10 - len(text) - 1) + b"\n"
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
