"""Captions: the texts of the corpus with their ids and images, and the readers for each file format."""

from __future__ import annotations

import csv
import gzip
import json
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError

if TYPE_CHECKING:
    import pandas as pd

_TEXT_COLUMNS = ("caption", "text", "sentence", "raw", "description", "title", "prompt", "query")
_ID_COLUMNS = ("id", "caption_id", "sentid", "annotation_id", "uid", "key")
_GROUP_COLUMNS = ("image_id", "imgid", "image", "group", "group_id", "file_name", "filename", "url")
_FORMATS = "captions_*.json (COCO), .txt, .csv, .tsv, .jsonl or .parquet, each plain or .gz"

_OBJECTS = 'on each line an object such as {"caption": "..."}'


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table to read; None means: choose by common names."""

    text: str | None = None
    id: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Captions:
    """The corpus: N texts in file order."""

    name: str
    """Name of the corpus on screen: the file's name without its endings."""
    texts: Sequence[str]
    """N texts, stripped, without line breaks."""
    ids: NDArray[Any]
    """Each caption's id in its file, (N,), int64 or str; the line number from 1 when the file has none."""
    groups: NDArray[Any] | None
    """Id of the image (or other group) of each caption, (N,), int64 or str; None when the file has none."""
    file_names: dict[Any, str]
    """Image file name by group; empty when the file has none."""
    urls: dict[Any, str]
    """Image URL by group; empty when the file has none."""
    blank: int
    """Number of empty texts; they keep their rows."""

    def __len__(self) -> int:
        return len(self.texts)

    def group(self, row: int) -> int | str | None:
        """Return the image id of a row as a plain Python value; None when it has none."""
        group: int | str | None = None if self.groups is None else self.groups[row].item()
        return None if group == "" else group

    @classmethod
    def read(cls, path: Path, *, columns: Columns = Columns()) -> Captions:
        """Read a corpus. The file's ending selects the format; `-` reads lines from standard input.

        Raises:
            AssetError: The file is missing, empty, damaged, of an unknown format, or holds no captions.
        """
        suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
        suffix = suffixes[-1] if suffixes else ""
        name = path.name.split(".")[0]
        if str(path) == "-":
            return _build("stdin", read_lines(path), path)
        if suffix == ".txt":
            return _build(name, read_lines(path), path)
        if path.is_dir():
            raise AssetError(path, "is a folder", expected=_FORMATS, advice="name the file in it")
        if suffix not in (".json", ".csv", ".tsv", ".jsonl", ".parquet"):
            found = f"unknown ending {''.join(path.suffixes)!r}"
            raise AssetError(path, found, expected=_FORMATS, advice="unpack, convert or rename it")
        with _opened(path) as file:
            if suffix == ".json":
                return _from_coco(name, file.read(), path)
            return _from_table(name, _read_table(file, suffix, path), columns, path)


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file, blank ones included; `-` is standard input, `.gz` is unpacked.

    Raises:
        AssetError: The file is missing, damaged, empty or not UTF-8.
    """
    if str(path) == "-":
        data = sys.stdin.buffer.read()
    else:
        with _opened(path) as file:
            data = file.read()
    text = _decode(data, path)
    if not text:
        raise AssetError(path, "is empty", expected="at least one line of text", advice="check which file you meant")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [_tidy(line) for line in lines]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unpacking `.gz`; raise an AssetError for an error while it is opened or read."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield cast("IO[bytes]", file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise AssetError(path, f"damaged or cut-off gzip file ({error})", advice="copy or download it again") from error
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error


def _not_utf8(path: Path, error: UnicodeDecodeError) -> AssetError:
    advice = "convert it: iconv -f latin1 -t utf-8 FILE > NEW"
    return AssetError(path, f"not UTF-8 text (byte {error.start})", advice=advice)


def _tidy(text: object) -> str:
    """Strip a text and replace line breaks by blanks and lone surrogates by `?`; a missing value becomes empty."""
    if not isinstance(text, str):
        return ""
    return " ".join(text.strip().splitlines()).encode("utf-8", "replace").decode("utf-8")


def _build(
    name: str,
    texts: list[str],
    path: Path,
    *,
    ids: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
    file_names: dict[Any, str] | None = None,
    urls: dict[Any, str] | None = None,
) -> Captions:
    blank = sum(not text for text in texts)
    if blank == len(texts):
        advice = "check which file, and which of its columns, you meant"
        raise AssetError(path, "holds no captions", expected="at least one line of text", advice=advice)
    if ids is None:
        ids = np.arange(1, len(texts) + 1)  # (N,)
    return Captions(name, texts, ids, groups, file_names or {}, urls or {}, blank)


def _from_coco(name: str, data: bytes, path: Path) -> Captions:
    advice = "use COCO's captions_val2014.json, or a .txt, .csv, .jsonl or .parquet file"
    try:
        document = json.loads(_decode(data, path))
    except (ValueError, RecursionError) as error:
        if not data.strip():
            found = "is empty"
        elif data.lstrip()[:1] == b"<":
            found = "an HTML or XML page, not JSON: the download failed"
        else:
            found = f"not valid JSON, or cut off ({error})"
        raise AssetError(path, found, advice="copy or download it again") from error
    if isinstance(document, list):
        found = "a bare list: COCO *results*, machine-made captions, have this layout"
        raise AssetError(path, found, expected='COCO captions: {"images": [...], "annotations": [...]}', advice=advice)
    annotations = document.get("annotations") if isinstance(document, dict) else None
    if not isinstance(annotations, list) or not annotations or not all(isinstance(a, dict) for a in annotations):
        raise AssetError(path, 'no list of objects under "annotations"', expected="COCO captions JSON", advice=advice)
    if "caption" not in annotations[0]:
        found = 'the annotations have no "caption"'
        if "bbox" in annotations[0] or "segmentation" in annotations[0]:
            found = "COCO *instances* (boxes and outlines of things), not captions"
        elif "keypoints" in annotations[0]:
            found = "COCO *keypoints*, not captions"
        raise AssetError(path, found, expected='"caption" in each annotation', advice=advice)
    groups = [annotation.get("image_id") for annotation in annotations]
    if missing := sum(map(_is_missing, groups)):
        if any("image_id" in annotation for annotation in annotations):
            found = f'{missing:,} of {len(annotations):,} annotations have no "image_id"'
            raise AssetError(path, found, expected="one in each annotation, or in none", advice=advice)
        groups = []
    has_ids = any("id" in annotation for annotation in annotations)
    images = document.get("images")
    images = [image for image in images if _is_image(image)] if isinstance(images, list) else []
    address = "coco_url" if any("coco_url" in image for image in images) else "flickr_url"
    return _build(
        name,
        [_tidy(annotation.get("caption")) for annotation in annotations],
        path,
        ids=_labels([annotation.get("id") for annotation in annotations]) if has_ids else None,
        groups=_labels(groups) if groups else None,
        file_names={image["id"]: image["file_name"] for image in images if isinstance(image.get("file_name"), str)},
        urls={image["id"]: image[address] for image in images if isinstance(image.get(address), str)},
    )


def _is_image(image: object) -> bool:
    return isinstance(image, dict) and isinstance(image.get("id"), int | str)


def _read_table(file: IO[bytes], suffix: str, path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(file)
            return frame if frame.index.name in (None, *frame.columns) else frame.reset_index()
        if suffix == ".jsonl":
            return pd.DataFrame(_json_objects(_decode(file.read(), path), path), dtype=object)
        header = file.readline()
        file.seek(0)
        separator = max(b",;\t", key=lambda mark: (mark == 9 and suffix == ".tsv", header.count(mark)))
        # Tab-separated captions are rarely quoted and may contain single quote characters.
        quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == ord("\t") else csv.QUOTE_MINIMAL
        frame = pd.read_csv(file, sep=chr(separator), quoting=quoting, keep_default_na=False, low_memory=False)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    except (ValueError, pa.ArrowException) as error:  # pandas' own errors are ValueErrors
        raise AssetError(path, f"cannot be read as {suffix[1:]} ({error})", advice="check the file") from error
    if not isinstance(frame.index, pd.RangeIndex):  # pandas uses a surplus first field as the index
        advice = "put texts that hold the separator in quotes, or save them as .txt"
        raise AssetError(path, "its first row has more fields than its header", advice=advice)
    return frame


def _json_objects(text: str, path: Path) -> list[dict[str, Any]]:
    objects = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            objects.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            found = f"cannot be read as jsonl: line {number} is not valid JSON, or cut off ({error})"
            raise AssetError(path, found, expected=_OBJECTS, advice="copy or download it again") from error
        if not isinstance(objects[-1], dict):
            raise AssetError(path, f"line {number} is no JSON object", expected=_OBJECTS, advice="convert it")
    return objects


def _from_table(name: str, frame: pd.DataFrame, columns: Columns, path: Path) -> Captions:
    if frame.empty:
        raise AssetError(path, "holds no rows", expected="at least one caption", advice="check which file you meant")
    if not frame.columns.is_unique:
        raise AssetError(path, "two of its columns have the same name", advice="rename one of them")
    text = _pick(frame, columns.text, _TEXT_COLUMNS, "--text-column", path)
    if text is None:
        textual = [column for column in frame.columns if _is_text(frame[column])]
        if len(textual) != 1:
            raise AssetError(
                path,
                f"cannot tell which column holds the captions (columns: {', '.join(map(str, frame.columns))})",
                advice="name it with --text-column",
            )
        text = textual[0]
    ids = _pick(frame, columns.id, _ID_COLUMNS, "--id-column", path)
    groups = _pick(frame, columns.group, _GROUP_COLUMNS, "--group-column", path)
    return _build(
        name,
        [_tidy(value) for value in frame[text]],
        path,
        ids=None if ids is None or ids == text else _labels(_plain(frame[ids])),
        groups=None if groups is None or groups == text else _labels(_plain(frame[groups])),
    )


def _is_text(column: pd.Series[Any]) -> bool:
    """Check that a column's first values are texts, ignoring missing ones."""
    values = column.dropna().head(10)
    return len(values) > 0 and all(isinstance(value, str) for value in values)


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return a column's values as Python objects, None for a missing one."""
    return [value if known else None for value, known in zip(column.tolist(), column.notna(), strict=True)]


def _labels(values: list[Any]) -> NDArray[Any]:
    """Convert ids to an array (N,): int64 if all are integers, else text, in which a missing id is empty."""
    if all(type(value) is int and -(2**63) <= value < 2**63 for value in values):
        return np.array(values, np.int64)  # (N,)
    return np.array(["" if _is_missing(value) else _label(value) for value in values], str)  # (N,)


def _is_missing(value: object) -> bool:
    """Check for JSON's null or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _label(value: object) -> str:
    is_integer = isinstance(value, float) and value.is_integer()  # pandas stores integers as floats if one is missing
    return _tidy(str(int(cast("float", value)) if is_integer else value))


def _pick(frame: pd.DataFrame, named: str | None, common_names: tuple[str, ...], option: str, path: Path) -> str | None:
    if named is not None:
        if named not in frame.columns:
            names = ", ".join(map(str, frame.columns))
            raise AssetError(
                path, f"has no column {named!r}", expected=names, advice=f"name one of these with {option}"
            )
        return named
    by_lower = {str(column).lower(): str(column) for column in reversed(frame.columns)}
    return next((by_lower[column] for column in common_names if column in by_lower), None)
