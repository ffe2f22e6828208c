"""WordVectors: a `.vec` text file, converted once to a memory-mapped store that opens in milliseconds."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from core.assets import ADDRESSES, AssetError
from core.store.progress import Progress, Steps
from core.store.whole import Origin, is_whole, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 2
"""Version of the store's layout; part of its key."""
_LINE_FORMAT = "a text file, each line `word v1 ... vdim`"
_ADVICE = f"copy or download it again: {ADDRESSES['vectors']}"
_BLOCK = 32 << 20  # bytes of text parsed together


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
    def convert(cls, path: Path, folder: Path) -> Steps[None]:
        """Convert a `.vec` file (plain, `.gz` or `.zip`) into a store, unless the store exists.

        The store appears complete or not at all, even when several processes convert the file at the same time. Broken
        lines are skipped and counted. If a word occurs twice, its first line counts.

        Raises:
            AssetError: The file is missing, damaged, or not a vector file; the disk is full or read-only.
        """
        yield from make_folder(
            *(folder, _origin(folder, path.name), lambda work: _convert(path, work)), doing="converts these vectors"
        )


def read_dim(path: Path) -> int:
    """Read E, the width of a file's vectors, from its beginning.

    Raises:
        AssetError: The file is missing, damaged, empty, or not a vector file.
    """
    for lines, _ in _blocks(path):
        return _shape(lines, path)[1]
    raise AssetError(path, "is empty", expected=_LINE_FORMAT, advice=_ADVICE)


def _origin(folder: Path, about: str = "") -> Origin:
    return Origin(folder.name, FORMAT, about)


def _hash(words: Sequence[bytes]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(word, digest_size=8).digest() for word in words)
    return np.frombuffer(digests, np.uint64)  # (len(words),)


def _convert(path: Path, folder: Path) -> Steps[None]:
    try:
        total = path.stat().st_size / 1e6
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error
    words: list[bytes] = []
    seen: set[bytes] = set()
    broken = lines_read = promised = dim = 0
    with (folder / "rows.npy").open("wb") as rows_file:
        rows_file.write(bytes(128))  # space for the header, because the row count is known at the end
        for lines, read in _blocks(path):
            if not dim:
                promised, dim = _shape(lines, path)
            new_words, rows, skipped = _parse(lines, dim)
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
            found = "no line of it is a word with its vector" if dim else "is empty"
            raise AssetError(path, found, expected=_LINE_FORMAT, advice=_ADVICE)
        rows_file.seek(0)
        _write_header(rows_file, (len(words), dim))
    yield Progress("indexing words", 0, 0, "")
    hashes = _hash(words)  # (V,)
    order = np.argsort(hashes, kind="stable").astype(np.int32)  # (V,)
    lengths = np.fromiter(map(len, words), np.int64, len(words))  # (V,), bytes
    np.save(folder / "hashes.npy", hashes[order])
    np.save(folder / "order.npy", order)
    np.save(folder / "starts.npy", np.concatenate([[0], np.cumsum(lengths)]))  # (V + 1,)
    (folder / "words.bin").write_bytes(b"".join(words))
    info = {"broken_lines": broken, "missing_lines": max(0, promised - lines_read)}
    (folder / "info.json").write_text(json.dumps(info), encoding="utf-8")


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    text = repr(header).encode("latin1")
    text += b" " * (128 - 10 - len(text) - 1) + b"\n"
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)


def _blocks(path: Path) -> Iterator[tuple[list[bytes], int]]:
    """Read a vector file in blocks of complete lines, each with the number of the file's bytes read so far."""
    try:
        with path.open("rb") as raw, _unpacked(raw, path) as text:
            rest = b""
            while block := text.read(_BLOCK):
                *lines, rest = (rest + block).split(b"\n")
                if lines:
                    yield lines, raw.tell()
            if rest:
                yield [rest], raw.tell()
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # the last: password
        raise AssetError(path, f"damaged or cut-off archive ({error})", advice="copy or download it again") from error
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error


@contextmanager
def _unpacked(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        with gzip.open(raw) as text:
            yield cast("IO[bytes]", text)
    elif suffix == ".zip":
        with zipfile.ZipFile(raw) as archive:
            names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
            members = [name for ending in (".vec", ".txt") for name in names if name.lower().endswith(ending)]
            if not members:
                raise AssetError(path, "no .vec or .txt file in the archive", advice=ADDRESSES["vectors"])
            with archive.open(members[0]) as text:
                yield text
    else:
        yield raw


def _shape(lines: list[bytes], path: Path) -> tuple[int, int]:
    """Read V (0 when unknown) and E from the header line `V E`, which is removed, or E from the first vector."""
    lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
    first = lines[0].split()
    if len(first) == 2 and first[0].isdigit() and first[1].isdigit() and int(first[1]):
        lines.pop(0)
        return int(first[0]), int(first[1])
    dim = 0
    for field in reversed(first[1:]):  # from the end, because a token may contain blanks
        try:
            float(field)
        except ValueError:
            break
        dim += 1
    if dim < 2:
        found = "its first line is not a word and numbers"
        if lines[0].lstrip()[:1] in (b"<", b"{", b"[", b"\x80"):
            found = "a web page, JSON or a binary file, not word vectors"
        raise AssetError(path, found, expected=_LINE_FORMAT, advice=_ADVICE)
    return 0, dim


def _parse(lines: list[bytes], dim: int) -> tuple[list[bytes], NDArray[np.float32], int]:
    """Parse lines of `word v1 ... vdim` into words, their vectors (len(words), E) and the number of broken lines."""
    import pyarrow as pa
    from pyarrow import csv

    lines = [line for line in lines if line and not line.isspace()]
    parts = [line.partition(b" ") for line in lines]
    try:  # parse all lines together; this fails if a line is broken or a token contains blanks
        table = csv.read_csv(
            pa.BufferReader(b"\n".join([values.rstrip() for _, _, values in parts])),
            read_options=csv.ReadOptions(autogenerate_column_names=True, block_size=4 << 20),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types={f"f{i}": pa.float32() for i in range(dim)}, null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        table = None
    if table is not None and table.shape == (len(lines), dim) and all(word for word, _, _ in parts):
        columns = np.empty((dim, len(lines)), np.float32)  # (E, b)
        for i, column in enumerate(table.columns):
            columns[i] = column.to_numpy()
        rows = np.ascontiguousarray(columns.T)  # (b, E)
        if np.isfinite(rows).all():
            return [word for word, _, _ in parts], rows, 0
    words, vectors = [], []
    for line in lines:  # parse line by line: some line is broken or some token contains blanks
        word, *values = line.rstrip().rsplit(b" ", dim)
        try:
            with np.errstate(over="ignore"):
                vector = np.array([float(value) for value in values], np.float32)  # (E,)
        except ValueError:
            continue
        if word and len(vector) == dim and np.isfinite(vector).all():
            words.append(word)
            vectors.append(vector)
    return words, np.array(vectors, np.float32).reshape(-1, dim), len(lines) - len(words)
