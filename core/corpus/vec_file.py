"""VecFile: a text file of word vectors, plain, `.gz` or in a `.zip` archive, read in blocks of lines."""

from __future__ import annotations

import codecs
import gzip
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError, first_names
from core.corpus.text_files import refuse_bomb, refuse_packing
from core.store.file_state import FileState
from core.store.pages import START_BYTES, is_page

LINE_FORMAT = "a text file, each line `word v1 ... vdim`"
_ADVICE = "copy it again, or fetch it: infersent-tui fetch crawl"
_BLOCK = 32 << 20  # bytes of text parsed together
_FIRST_BLOCK = 1 << 20  # bytes that tell the width
_LONGEST_LINE = 16_000_000  # bytes
_MOST_DIM = 1 << 16  # numbers of a word
_MOST_MEMBERS = 100  # files of an archive that may be the vectors
_SAMPLE = 20  # lines that tell the width
_FASTTEXT = b"\xba\x16\x4f\x2f"
_CONTROLS = bytes(range(9))  # bytes that no text holds, and nearly every binary number does

Block: TypeAlias = tuple[list[bytes], int]
"""Complete lines, and the number of the file's bytes read so far."""


@dataclass(frozen=True, slots=True)
class VecFile:
    """A file of word vectors."""

    path: Path
    member: str | None = None
    """The member of a `.zip` archive; None takes its only one."""
    state: FileState | None = None
    """The file when it was hashed; None where nothing depends on its hash."""

    @classmethod
    def choose(cls, path: Path, width: Callable[[], int] | None) -> VecFile:
        """Choose the member of an archive that has vectors of the width that `width` returns.

        Without `width`, as where no weights tell it, an archive of several files of vectors is refused.

        Raises:
            AssetError: The file is damaged; or it has several members, of which none or several have this width.
        """
        dims = cls(path)._dims()
        if not dims:
            return cls(path)
        wanted = None if width is None else width()
        widths = {member: dim for member, dim in dims.items() if isinstance(dim, int)}
        if not widths:
            raise next(dim for dim in dims.values() if isinstance(dim, AssetError))
        fitting = [member for member, dim in widths.items() if wanted in (dim, None)]
        if len(fitting) == 1:
            return cls(path, fitting[0])
        found = f"holds {first_names([f'{member} ({dim} numbers a word)' for member, dim in widths.items()])}"
        expected = "one file of vectors" if wanted is None else f"one with {wanted}, as the weights need"
        raise AssetError(path, found, expected=expected, advice=cls(path)._one_member())

    def read_dim(self) -> int:
        """Read E, the width of the vectors, from the beginning.

        Raises:
            AssetError: The file is missing, damaged, empty, or holds no word vectors as text.
        """
        return self._dim(self.blocks(_FIRST_BLOCK))

    def blocks(self, size: int = _BLOCK) -> Iterator[Block]:
        """Read the file in blocks of about `size` bytes of text.

        Raises:
            AssetError: The file cannot be read or unpacked.
        """
        with self._errors_told(), self.path.open("rb") as raw, self._unpacked(raw) as text:
            yield from self._blocks(raw, text, size)

    def read_shape(self, lines: list[bytes]) -> tuple[int, int]:
        """Read V (0 when unknown) from the header line `V E`, which is removed from the first lines, and E.

        Raises:
            AssetError: The lines are no word vectors as text, or have another width than the header says.
        """
        lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
        if lines[0].startswith(_FASTTEXT):
            advice = "use the text file of these vectors, which ends in .vec"
            raise AssetError(self.path, "fastText's binary model", expected=LINE_FORMAT, advice=advice)
        first, count, announced = lines[0].split(), 0, 0
        if len(first) == 2 and all(field.isdigit() and len(field) < 12 for field in first) and int(first[1]):
            lines.pop(0)
            count, announced = int(first[0]), int(first[1])
        sample = [line for line in lines[:_SAMPLE] if line.strip()]
        if announced and any(byte in _CONTROLS for byte in b"\n".join(sample)[:4096]):
            advice = "save it as text, with gensim: KeyedVectors.load_word2vec_format(FILE, binary=True)"
            advice += ".save_word2vec_format(NEW)"
            raise AssetError(self.path, "word2vec's binary format", expected=LINE_FORMAT, advice=advice)
        widths = [_numbers_at_end(line.split()[1:]) for line in sample]
        width = widths[0] if widths else announced
        if len(sample) == _SAMPLE and widths.count(width) == 1:  # the first token may end with a number
            width = Counter(widths).most_common(1)[0][0]
        if announced and widths and width > 1 and announced not in widths:
            found = f"its first line announces {announced} numbers a word, its lines have {width}"
            raise AssetError(self.path, found, expected=LINE_FORMAT, advice="correct or remove the first line")
        if max(announced, width) > _MOST_DIM:
            raise self.error(f"it has {max(announced, width):,} numbers a word, and at most {_MOST_DIM:,} are read")
        if not announced and width < 2:
            found = "its first line is not a word and numbers"
            if is_page(lines[0]):
                found = "an HTML or XML page, not word vectors"
            elif lines[0].lstrip()[:1] in (b"{", b"[", b"\x80"):
                found = "JSON or a binary file, not word vectors"
            raise self.error(found)
        return count, announced or width

    def error(self, found: str) -> AssetError:
        """Describe what is wrong with the file."""
        return AssetError(self.path, found, expected=LINE_FORMAT, advice=_ADVICE)

    def _dim(self, blocks: Iterator[Block]) -> int:
        """Return E from the first of the file's blocks."""
        for lines, _ in blocks:
            return self.read_shape(lines)[1]
        raise self.error("is empty")

    def _dims(self) -> dict[str, int | AssetError]:
        """Read E of each text file in a `.zip` archive of several, or what is wrong with it; nothing of another one."""
        dims: dict[str, int | AssetError] = {}
        if self._packing() == "zip":
            with self._errors_told(), self.path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
                members = self._members(archive)
                for member in members if len(members) > 1 else ():
                    file = VecFile(self.path, member)
                    try:
                        with self._errors_told(), file._member_of(archive) as text:
                            dims[member] = self._dim(self._blocks(raw, text, _FIRST_BLOCK))
                    except AssetError as error:  # a README, or a damaged archive
                        dims[member] = error
        return dims

    def _blocks(self, raw: IO[bytes], text: IO[bytes], size: int) -> Iterator[Block]:
        """Read blocks of complete lines from a text, which is unpacked from a file."""
        rest, unpacked = b"", 0
        while block := text.read(size):
            unpacked += len(block)
            refuse_bomb(self.path, packed=raw.tell(), unpacked=unpacked)
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                raise self.error(f"a line of it is longer than {_LONGEST_LINE / 1e6:,.0f} MB")
            if lines:
                yield lines, raw.tell()
        if rest:
            yield [rest], raw.tell()

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """Raise `AssetError` for any error of reading: flipped bits in an archive give errors of many kinds."""
        try:
            yield
        except AssetError:
            raise
        except Exception as error:
            found = f"damaged or cut-off archive ({error})"
            raise AssetError.from_reader(self.path, error, found, advice="copy or download it again") from error

    def _members(self, archive: zipfile.ZipFile) -> list[str]:
        """List the text files in a `.zip` archive."""
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
        endings = (".vec", ".txt")
        members = [[name for name in names if name.lower().endswith(ending)] for ending in endings]
        if not any(members):
            raise AssetError(self.path, "no .vec or .txt file in the archive", advice=_ADVICE)
        found = next(filter(None, members))
        if len(found) > _MOST_MEMBERS:
            expected = f"at most {_MOST_MEMBERS}"
            raise AssetError(self.path, f"holds {len(found):,} texts", expected=expected, advice=self._one_member())
        return found

    def _one_member(self) -> str:
        """Advise to unpack one member of a `.zip` archive."""
        return f"unpack the right one and name it: unzip {self.path.name} MEMBER; then --vectors MEMBER"

    def _member_of(self, archive: zipfile.ZipFile) -> IO[bytes]:
        """Open the member of a `.zip` archive."""
        member = archive.getinfo(self.member or self._members(archive)[0])
        refuse_packing(self.path, member)
        return archive.open(member)

    def _packing(self) -> str | None:
        """Tell by its ending or its first bytes how the file is packed."""
        by_ending = {".gz": "gzip", ".zip": "zip"}.get(self.path.suffix.lower())
        try:
            with self.path.open("rb") as file:
                start = file.read(START_BYTES)
        except OSError:
            return by_ending  # an error when it is read
        if is_page(start):
            return None
        return by_ending or {b"\x1f\x8b": "gzip", b"PK": "zip"}.get(start[:2])

    @contextmanager
    def _unpacked(self, raw: IO[bytes]) -> Iterator[IO[bytes]]:
        packing = self._packing()
        if packing == "gzip":
            with gzip.open(raw) as text:
                yield cast("IO[bytes]", text)
        elif packing == "zip":
            with zipfile.ZipFile(raw) as archive, self._member_of(archive) as text:
                yield text
        else:
            yield raw


def parse_lines(lines: Sequence[bytes], dim: int) -> tuple[list[bytes], NDArray[np.float32], int]:
    """Parse lines of `word v1 ... vdim`, with blanks or tabs between.

    A line with surplus fields is broken if they are numbers, else its word has blanks in it.

    Returns:
        Words, their vectors (len(words), dim), and the number of broken lines.
    """
    lines = [line for line in lines if line and not line.isspace()]
    parsed = _parse_together(lines, dim)
    if parsed is None and any(b"\t" in line or b"  " in line for line in lines):
        parsed = _parse_together([b" ".join(line.split()) for line in lines], dim)
    if parsed is not None:
        return *parsed, 0
    words, vectors = [], []
    for line in lines:  # parse line by line: some line is broken or some token contains blanks
        word, *values = line.strip().rsplit(None, dim)
        surplus = word.split()[1:]
        if len(values) != dim or (surplus and _numbers_at_end(surplus) == len(surplus)):
            continue
        try:
            with np.errstate(over="ignore"):
                vector = np.array([float(value) for value in values], np.float32)  # (E,)
        except ValueError:
            continue
        if np.isfinite(vector).all():
            words.append(word)
            vectors.append(vector)
    return words, np.array(vectors, np.float32).reshape(-1, dim), len(lines) - len(words)


def _parse_together(lines: Sequence[bytes], dim: int) -> tuple[list[bytes], NDArray[np.float32]] | None:
    """Parse lines with single blanks between their fields; None if one is broken or its word has blanks in it."""
    import pyarrow as pa
    from pyarrow import csv

    parts = [line.partition(b" ") for line in lines]
    try:
        table = csv.read_csv(
            pa.BufferReader(b"\n".join([values.rstrip() for _, _, values in parts])),
            read_options=csv.ReadOptions(autogenerate_column_names=True, block_size=4 << 20),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types={f"f{i}": pa.float32() for i in range(dim)}, null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.shape != (len(lines), dim) or not all(word for word, _, _ in parts):
        return None
    columns = np.empty((dim, len(lines)), np.float32)  # (E, b)
    for i, column in enumerate(table.columns):
        columns[i] = column.to_numpy()
    rows = np.ascontiguousarray(columns.T)  # (b, E)
    return ([word for word, _, _ in parts], rows) if np.isfinite(rows).all() else None


def _numbers_at_end(fields: Sequence[bytes]) -> int:
    """Count the numbers at the end of some fields."""
    count = 0
    for field in reversed(fields):
        try:
            float(field)
        except ValueError:
            break
        count += 1
    return count
