"""Fetching: the official files, downloaded, checked and, where one member of an archive is wanted, unpacked."""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from core.assets import AssetError, first_names
from core.corpus.text_files import refuse_packing
from core.official import OFFICIAL, OfficialFile
from core.shortage import is_of_machine
from core.store.download import ANOTHER_SERVER, Checksum, download
from core.store.hashing import file_sha256
from core.store.locks import only_one
from core.store.partial import FOLDER_OPTION, delete_partial
from core.store.progress import Progress, Steps
from core.store.web import check_address
from core.store.whole import whole_file

CHECKSUMS = "SHA256SUMS"
"""The file, as `sha256sum -c` reads it, that remembers the checksums of what was fetched."""

_CHECKSUM_LINE = re.compile(r"([0-9A-Fa-f]{64}) [ *](.+?)\r?")
_OTHER_MIRROR = "name another --mirror, or none (nor INFERSENT_TUI_MIRROR) to ask the owner's server"
_ADDRESS = "http://SERVER/FOLDER or https://SERVER/FOLDER"
_BLOCK_BYTES = 1 << 20
_SPARE_BYTES = 100_000_000
_MOST_TIMES = 2  # a download, and an archive's member, may be so many times as large as the official one
_MOST_RATIO = 200  # a member may be so many times as large as its packed form


def bytes_needed(names: Iterable[str], folder: Path) -> int:
    """Return how many bytes of disk space the files take that are not in a folder yet, while they are fetched."""
    needed = 0
    for file in map(OFFICIAL.__getitem__, names):
        path, kept = _paths(file, folder)
        if not kept.exists():
            came = [each for each in (path, path.with_name(path.name + ".partial")) if each.is_file()]
            done = sum(each.stat().st_size for each in came)
            needed += max(0, file.bytes - done) + (file.member_bytes if file.unpacked else 0)
    return needed


class Space(NamedTuple):
    """Room on a disk."""

    needed: int
    """Bytes that files take while they are fetched."""
    free: int
    """Bytes."""


def check_space(names: Iterable[str], folder: Path) -> Space:
    """Return the room that the files need in a folder and that there is.

    Raises:
        AssetError: There is too little, or the folder cannot be looked at.
    """
    try:
        needed = bytes_needed(names, folder)
        existing = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        free = shutil.disk_usage(existing).free
    except OSError as error:
        raise AssetError.from_os_error(error.filename or folder, error) from error
    if needed and free < needed + _SPARE_BYTES:
        advice = "free some space, or name another folder with --data-dir"
        raise AssetError(folder, f"{needed / 1e9:.1f} GB are needed, and {free / 1e9:.1f} are free", advice=advice)
    return Space(needed, free)


def address_of(file: OfficialFile, mirror: str | None) -> str:
    """Return the address of an official file, or of its copy in the folder `mirror` of another server.

    Raises:
        AssetError: `mirror` is not the address of a folder on the web, or has a password.
    """
    if not mirror:
        return file.url
    if "?" in mirror or "#" in mirror:  # the names of files could not follow
        shown = re.split("[?#]", mirror.rpartition("@")[2])[0]
        raise AssetError(shown, "is not the address of a folder", expected=f"{_ADDRESS}, without ? or #")
    check_address(mirror, expected=_ADDRESS)
    return f"{mirror.rstrip('/')}/{file.download_name}"


def fetch(name: str, folder: Path, *, mirror: str | None = None, sha256: str | None = None) -> Steps[Path]:
    """Fetch an official file, unless it is in the folder; several processes may call this at the same time.

    It gets its name when it is whole, has its checksum (the published one, else that of the first time it was fetched
    into this folder) and was found to be what it should be.

    Args:
        name: A name in `OFFICIAL`.
        folder: Where it is put.
        mirror: Address of a folder on another server that has files of the same names; None for the official one.
        sha256: The checksum that the download must have, in place of the known one. Where the file is there already, it
            is not used if only a member of the download is kept.

    Returns:
        Its path.

    Raises:
        AssetError: It cannot be downloaded or read, differs from its checksum, or is not what it should be.
    """
    file = OFFICIAL[name]
    address_of(file, mirror)  # a wrong one is told even where it is not asked
    path, kept = _paths(file, folder)
    try:
        if kept.is_file():
            if is_own := os.access(folder, os.W_OK):  # else nothing is deleted or kept in it
                _clear(path, kept)
                _lock_of(kept).unlink(missing_ok=True)
            digest = yield from _compare(file, kept, sha256)
            if is_own:
                yield from _remember(folder, kept.name, digest)
        elif kept.exists():
            advice = "move it away, or name another folder with --data-dir"
            raise AssetError(kept, "is no plain file", expected="nothing, or the official file", advice=advice)
        else:
            yield from _fetch(file, folder, mirror, sha256)
    except OSError as error:
        raise AssetError.from_os_error(error.filename or folder, error) from error
    except MemoryError as error:
        advice = f"close other programs and fetch it again; if that stays so, delete {path.name}.partial"
        raise AssetError(path, "there is not enough memory to read it", advice=advice) from error
    return kept


def _paths(file: OfficialFile, folder: Path) -> tuple[Path, Path]:
    """Return the paths of what is downloaded and of what is kept; the first is no name that a person would give."""
    kept = folder / file.file_name
    return (kept.with_name(f"{kept.name}.archive") if file.unpacked else kept), kept


def _fetch(file: OfficialFile, folder: Path, mirror: str | None, sha256: str | None) -> Steps[None]:
    """Download, unpack and remember a file that is not there; one process at a time does."""
    path, kept = _paths(file, folder)
    with only_one(kept, doing=f"fetches {kept.name}", option=FOLDER_OPTION) as waiting:
        yield from waiting
        try:
            if kept.is_file():  # another process has fetched it
                digest = yield from _compare(file, kept, sha256)
            else:
                digest = yield from _bring(file, folder, mirror, sha256)
            yield from _remember(folder, kept.name, digest)
            _clear(path, kept)
        finally:
            _lock_of(kept).unlink(missing_ok=True)  # whoever waits for it sees that it is gone, and makes it anew


def _bring(file: OfficialFile, folder: Path, mirror: str | None, sha256: str | None) -> Steps[str]:
    """Download and unpack a file, and return its checksum."""
    path, kept = _paths(file, folder)
    wanted = _checksums(path, sha256, file.sha256)
    if not (yield from _is_there(path, wanted, file.download_name)):
        yield from download(
            address_of(file, mirror),
            path,
            most_bytes=_MOST_TIMES * file.bytes,
            checksum=next(iter(wanted), None),
            check=partial(_check, file),
            elsewhere=_OTHER_MIRROR if mirror else ANOTHER_SERVER,
        )
    if file.unpacked:
        with whole_file(kept, option=FOLDER_OPTION) as temporary, temporary.open("wb") as target:
            for block, progress in _member_blocks(path, file, "unpacking"):
                target.write(block)
                yield progress
    return (yield from file_sha256(kept, stage=f"checking {kept.name}"))


def _is_there(path: Path, wanted: list[Checksum], name: str) -> Steps[bool]:
    """Tell whether a download is there as it should be: a run was killed before it unpacked it."""
    if not path.is_file():
        return False
    digest = yield from file_sha256(path, stage=f"checking {name}")
    return not wanted or digest in [each.sha256 for each in wanted]


def _compare(file: OfficialFile, kept: Path, sha256: str | None) -> Steps[str]:
    """Return the checksum of a file that is there; raise `AssetError` if it differs from what is known of it."""
    digest = yield from file_sha256(kept, stage=f"checking {kept.name}")
    # Of an unpacked file, the other checksums are of the archive, which is not kept.
    wanted = _checksums(kept, *((None, None) if file.unpacked else (sha256, file.sha256)))
    if wanted and digest not in [each.sha256 for each in wanted]:
        advice = "it is damaged or another one: delete it, then fetch again"
        if not file.unpacked:
            advice += f"; if you trust it, give its checksum: --sha256 {digest}"
        expected = " or ".join(map(str, wanted))
        raise AssetError(kept, f"has another checksum: {digest}", expected=expected, advice=advice)
    return digest


def _checksums(path: Path, given: str | None, published: str | None) -> list[Checksum]:
    """Return the checksums of which a file should have one, the first for what is downloaded; none for any."""
    if given:
        return [Checksum(given.lower(), "as --sha256 says")]
    found = {"as published": published, f"as kept in {CHECKSUMS}": _known(path.parent).get(path.name)}
    return [Checksum(each, source) for source, each in found.items() if each]


def _clear(path: Path, kept: Path) -> None:
    """Delete what is left beside a finished file, also by a run that was killed."""
    delete_partial(path)
    if path != kept:
        path.unlink(missing_ok=True)


def _lock_of(kept: Path) -> Path:
    return kept.with_name(kept.name + ".lock")


def _known(folder: Path) -> dict[str, str]:
    """Read the checksums that a folder's files should have, by file name."""
    found = map(_CHECKSUM_LINE.fullmatch, _checksum_lines(folder))
    return {match[2]: match[1].lower() for match in found if match}


def _checksum_lines(folder: Path) -> list[str]:
    """Read the lines of the checksums, of which some may be damaged, and hold any bytes."""
    path = folder / CHECKSUMS
    text = path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else ""
    return text.removesuffix("\n").split("\n") if text else []


def _remember(folder: Path, name: str, digest: str) -> Steps[None]:
    """Keep the checksum of a file; lines about other files, also those that others write now, stay as they are."""
    path, lock = folder / CHECKSUMS, folder / f"{CHECKSUMS}.lock"
    if _known(folder).get(name) == digest and not lock.exists():  # a killed run may have left it
        return
    with only_one(path, doing=f"writes {CHECKSUMS}", option=FOLDER_OPTION) as waiting:
        yield from waiting
        found = [(line, _CHECKSUM_LINE.fullmatch(line)) for line in _checksum_lines(folder)]
        lines = [line for line, match in found if not match or match[2] != name]
        with whole_file(path, option=FOLDER_OPTION) as temporary:
            text = "".join(f"{line}\n" for line in [*lines, f"{digest}  {name}"])
            temporary.write_bytes(text.encode("utf-8", "surrogateescape"))
        lock.unlink(missing_ok=True)  # whoever waits for it sees that it is gone, and makes it anew


def _check(file: OfficialFile, path: Path) -> Steps[None]:
    """Check that a download is what it should be; raise `AssetError` if it is not."""
    if file.member:
        for _, progress in _member_blocks(path, file, "checking"):
            yield progress
    else:
        from core.encoding.weights import read_weights

        yield Progress(f"reading {file.file_name}", 0, 0, "")
        read_weights(path)


def _member_blocks(path: Path, file: OfficialFile, doing: str) -> Iterator[tuple[bytes, Progress]]:
    """Read the wanted member of an archive to its end, which checks its CRC-32."""
    try:
        with zipfile.ZipFile(path) as archive:
            if file.member not in archive.namelist():
                names = first_names(archive.namelist())
                raise AssetError(path, f"the archive has no {file.member}, but {names or 'nothing'}")
            info = archive.getinfo(file.member)  # of several of this name the last one, as whoever reads it later
            if stat.S_ISLNK(info.external_attr >> 16):
                raise AssetError(path, f"{file.member} in the archive is a link", expected="a file")
            refuse_packing(path, info)
            size = info.file_size
            if size > _MOST_TIMES * file.member_bytes or size > _MOST_RATIO * max(1, info.compress_size):
                found = f"{file.member} in the archive is {size / 1e6:,.0f} MB, from {info.compress_size / 1e6:,.1f} MB"
                raise AssetError(path, found, expected=f"about {file.member_bytes / 1e6:,.0f} MB")
            with archive.open(info) as member:
                while block := member.read(_BLOCK_BYTES):
                    stage = f"{doing} {Path(file.member).name}"
                    yield block, Progress(stage, member.tell() / 1e6, size / 1e6, "MB")
    except (AssetError, GeneratorExit):
        raise
    except Exception as error:  # zipfile raises errors of many kinds where bits are flipped
        if is_of_machine(error):
            raise
        advice = "delete it, then fetch again"
        raise AssetError(path, f"is no whole zip archive ({error})", advice=advice) from error
