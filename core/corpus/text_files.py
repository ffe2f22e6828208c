"""Text files: bytes from a file or standard input, packed or not, and their text in the right encoding."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import sys
import zipfile
import zlib
from pathlib import Path

from core.assets import AssetError
from core.store.pages import is_page_of_text

DAMAGED = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that cannot be read."""
_HALF = re.compile("[\ud800-\udfff]")
_BOMS = (  # UTF-32's first: it begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = (  # first bytes, what the file is, what to do
    (b"PK\x05\x06", "an empty zip archive", "name the file that holds the captions"),
    (b"PK\x03\x04", "a zip archive, as spreadsheets and weights are", "unpack it, or save the sheet as CSV"),
    (b"BZh", "packed with bzip2", "unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ", "packed with xz", "unpack it: unxz FILE"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it: unzstd FILE"),
    (b"\x89HDF", "an HDF5 file", "save its captions as text, one a line"),
    (b"\x93NUMPY", "a numpy array", "save its captions as text, one a line"),
    (b"ARROW1", "an Arrow or Feather file", "save it as Parquet"),
    (b"\xff\xff\xff\xff", "an Arrow stream", "save it as Parquet: datasets.Dataset.from_file(FILE).to_parquet(NEW)"),
    (b"Obj\x01", "an Avro file", "save it as Parquet"),
    (b"SQLite format 3", "an SQLite database", "save its captions as CSV"),
    (b"WEBVTT", "subtitles (WebVTT)", "save their captions as text, one a line"),
    (b"{\\rtf", "a text with formats (RTF)", "save it as plain text"),
    (b"\xd0\xcf\x11\xe0", "an old office document", "save the sheet as CSV"),
    (b"%PDF", "a PDF", "save its captions as text, one a line"),
    (b"\xff\xd8\xff", "a picture", "name the file that holds the captions"),
    (b"\x89PNG", "a picture", "name the file that holds the captions"),
)
_PACKINGS = {zipfile.ZIP_BZIP2: "with bzip2", zipfile.ZIP_LZMA: "with LZMA", 93: "with zstd"}  # of zip's members
_GZIP = b"\x1f\x8b"
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_WESTERN = re.compile(r"cp125[024789]|iso8859-(1|2|9|15)$|mac-roman")
_NO_WORD = re.compile(
    r"[a-z](?![’‘“”–—…])[^\x00-\x7f\W](?<=[A-ZÀ-ÞŒŠŽŸ])|[A-Za-z](?![’‘“”–—…])(?=[^\x00-\x7f])[\W\d_](?=[A-Za-z])"
)
_COMMON = [  # encodings that files on disks are in; the rarer ones fit by chance
    *("utf_16_le", "utf_16_be", "utf_32_le", "utf_32_be"),
    *(f"cp125{n}" for n in range(9)),
    *(f"iso8859_{n}" for n in (1, 2, 5, 7, 9, 15)),
    *("koi8_r", "cp874", "cp932", "euc_jp", "cp949", "gb18030", "big5", "mac_roman"),
]
_BLOCK = 16 << 20  # bytes unpacked together
_SMALL = 256_000_000  # bytes that any file may unpack to
_SMALL_TEXT = 16_000_000  # the same, where all of it is parsed as text: as JSON, a byte may take 93 of memory
_MOST_RATIO = 200  # a larger text may be so many times as large as its packed form
_ENOUGH = 4  # characters beyond ASCII, to tell encodings apart
_SAMPLE_LINES = 200  # lines that tell the encoding


def read_bytes(path: Path) -> bytes:
    """Read a whole file, unpacked if it is packed with gzip; `-` is standard input.

    Raises:
        AssetError: The file is missing, may not be read, or is a damaged gzip file or one made to exhaust the memory.
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return _unpacked(data, path) if data[:2] == _GZIP else data
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise AssetError(path, f"damaged or cut-off gzip file ({error})", advice="copy or download it again") from error
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error


def refuse_bomb(path: Path, *, packed: int, unpacked: int, is_text: bool = False) -> None:
    """Raise `AssetError` for a packed file, read up to these numbers of bytes, that was made to exhaust the memory."""
    if unpacked > max(_SMALL_TEXT if is_text else _SMALL, _MOST_RATIO * packed):
        found = f"{packed / 1e6:,.1f} MB of it unpack to more than {unpacked / 1e6:,.0f} MB: made to exhaust the memory"
        advice = "if you trust it, unpack it first, and name the unpacked file"
        raise AssetError(path, found, expected=f"at most {_MOST_RATIO} times as much", advice=advice)


def refuse_packing(path: Path, member: zipfile.ZipInfo) -> None:
    """Raise `AssetError` for a member of a zip archive of which no part can be unpacked without all that is read of it.

    zipfile unpacks stored and deflated members in parts of a given size, and others (bzip2, LZMA) without a limit.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = _PACKINGS.get(member.compress_type, f"by method {member.compress_type}")
        found = f"{member.filename} in the archive is packed {method}"
        advice = "unpack it first, and name the unpacked file; or pack it as zip does by itself: zip NEW FILE"
        raise AssetError(path, found, expected="a member that is stored or deflated", advice=advice)


def _unpacked(data: bytes, path: Path) -> bytes:
    blocks, size = list[bytes](), 0
    with gzip.open(io.BytesIO(data)) as file:
        while block := file.read(_BLOCK):
            blocks.append(block)
            size += len(block)
            refuse_bomb(path, packed=len(data), unpacked=size, is_text=True)
    return b"".join(blocks)


def decode(data: bytes, path: Path, *, encoding: str | None = None, page: bool = False) -> str:
    """Decode a text. Without a named encoding it must be UTF-8, or UTF-16 or UTF-32 with a byte order mark.

    Args:
        data: The text's bytes.
        path: The file, for errors.
        encoding: The encoding that the user names.
        page: Whether the text may look like a web page.

    Raises:
        AssetError: It is not text, is a web page, or has another encoding; the error names the one that fits.
    """
    if encoding is None:
        _refuse_other_files(data, path)
    bom = _bom(data)
    try:
        text = data.decode(encoding or bom or "utf-8")
    except UnicodeDecodeError as error:
        raise _undecodable(data, path, error, encoding or bom) from error
    except UnicodeError as error:
        raise AssetError(path, f"not in the encoding {encoding} ({error})", advice="name another --encoding") from error
    text = text.removeprefix("\ufeff")
    if encoding is None and _is_wide(data):
        raise _undecodable(data, path, None, None)
    if not page and is_page_of_text(text):
        advice = "if a download that failed left it, download it again; else save its captions as text, one a line"
        raise AssetError(path, "an HTML or XML page, not captions", advice=advice)
    return text


def lines_of(text: str) -> list[str]:
    """Split a text at line feeds, with or without carriage returns, or at carriage returns where most lines end so."""
    text = text.rstrip("\0").replace("\r\n", "\n")
    if text.count("\r") > text.count("\n"):
        text = text.replace("\r", "\n")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r").removeprefix("\ufeff") for line in lines]


def read_lines(path: Path, *, encoding: str | None = None) -> list[str]:
    """Read the lines of a text file, tidied, blank ones included.

    Raises:
        AssetError: The file is missing, damaged, empty or of an unknown encoding.
    """
    text = decode(read_bytes(path), path, encoding=encoding)
    if not text:
        raise empty(path)
    return [tidy(line) for line in lines_of(text)]


def empty(path: Path) -> AssetError:
    """Describe a file without a byte."""
    return AssetError(path, "is empty", expected="at least one line of text", advice="check which file you meant")


def tidy(text: str) -> str:
    """Strip a text and replace line breaks by blanks and lone surrogates by `DAMAGED`."""
    return _HALF.sub(DAMAGED, " ".join(text.strip().splitlines()))


def _refuse_other_files(data: bytes, path: Path) -> None:
    for start, what, advice in _NO_TEXT:
        if data.startswith(start):
            raise AssetError(path, f"{what}, not text", advice=advice)
    if data[257:262] == b"ustar":
        raise AssetError(path, "a tar archive, not text", advice="unpack it: tar -xf FILE")
    if data.startswith(_PICKLES):
        raise AssetError(path, "a pickle or weights, not text", advice="name the file that holds the captions")


def _bom(data: bytes) -> str | None:
    """Return the encoding that a byte order mark names."""
    return next((name for mark, name in _BOMS if data.startswith(mark)), None)


def _undecodable(data: bytes, path: Path, error: UnicodeDecodeError | None, tried: str | None) -> AssetError:
    """Describe a text in an unknown encoding, and name the encoding that fits."""
    at = error.start if error else data.index(b"\0")
    line = data.count(b"\n", 0, at) + 1
    found = f"line {line} is not {(tried or 'UTF-8').removesuffix('-sig').upper()} text (byte {at:,})"
    if tried is not None and tried.startswith(("utf-16", "utf-32")):
        return AssetError(path, found, advice="it is cut off or damaged: copy or download it again")
    if error and tried in (None, "utf-8-sig") and _is_damaged_utf8(data, error):
        advice = f"mend line {line}, or leave damaged characters out: iconv -c -f utf-8 -t utf-8 FILE > NEW"
        return AssetError(path, found, expected="UTF-8, as the other lines are", advice=advice)
    names, text = _fitting_encodings(data)
    if not names:
        return AssetError(path, found, expected="UTF-8", advice="name its encoding with --encoding, if it is text")
    first = next((line for line in lines_of(text) if not line.isascii()), text[:80])
    advice = f"use --encoding {names[0]}" + (f"; if that reads wrong, {' or '.join(names[1:3])}" if names[1:] else "")
    return AssetError(path, f"{found}; as {names[0]} it reads: {tidy(first)[:80]}", advice=advice)


def _is_wide(data: bytes) -> bool:
    """Tell whether a quarter of the first bytes are null, as in UTF-16 without a byte order mark."""
    head = data.rstrip(b"\0")[:4096]
    return _bom(data) is None and 4 * head.count(b"\0") >= max(1, len(head))


def _is_damaged_utf8(data: bytes, error: UnicodeDecodeError) -> bool:
    """Tell whether most of the characters beyond ASCII are UTF-8, or the last one is cut off."""
    if error.end == len(data) and error.reason == "unexpected end of data":
        return True
    text = data.decode("utf-8", "surrogateescape")
    return 10 * len(re.findall("[\udc80-\udcff]", text)) < len(re.findall(r"[^\x00-\x7f]", text))


def _fitting_encodings(data: bytes) -> tuple[list[str], str]:
    """Return the encodings that fit, the best first, and the text of a sample in that one."""
    from charset_normalizer import from_bytes

    lines = [line for line in data.split(b"\n") if not line.isascii()]
    sample = data[:65_536] if _is_wide(data) or not lines else b"\n".join(lines[:_SAMPLE_LINES])
    found = from_bytes(sample, cp_isolation=_COMMON)
    matches = [name for match in found if _decodes(data, name := match.encoding.replace("_", "-"))]
    few = not _is_wide(data) and len(re.findall(rb"[\x80-\xff]", sample)) < _ENOUGH
    if few or not matches or _WESTERN.match(matches[0]):
        # these differ in few letters: prefer the two that most files are in, if their letters make sense
        named = ("mac-roman", "cp1252") if matches and matches[0].startswith("mac") else ("cp1252",)
        matches = [*(name for name in named if _makes_sense(sample, name)), *matches]
    fitting = list(dict.fromkeys(matches))
    return fitting, sample.decode(fitting[0]) if fitting else ""


def _makes_sense(data: bytes, encoding: str) -> bool:
    """Tell whether the characters beyond ASCII within words are letters, and none a capital behind a small letter."""
    return _decodes(data, encoding) and not _NO_WORD.search(data.decode(encoding))


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True
