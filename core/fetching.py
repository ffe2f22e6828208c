"""Fetching: the official files, downloaded, checked and, where one member of an archive is wanted, unpacked."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

from core.assets import AssetError
from core.official import OFFICIAL, OfficialFile
from core.store.download import check_address, delete_partial, download, file_sha256
from core.store.progress import Progress, Steps
from core.store.whole import only_one, whole_file

CHECKSUMS = "SHA256SUMS"
"""The file, as `sha256sum -c` reads it, that remembers the checksums of what was fetched."""

_SPACE = "free some space; the same command goes on"
_BLOCK_BYTES = 1 << 20
_SPARE_BYTES = 100_000_000
_MOST_TIMES = 4  # an archive's member may be so many times as large as the official one
_MOST_RATIO = 200  # and as its packed form


def bytes_needed(names: Iterable[str], folder: Path) -> int:
    """Return how many bytes of disk space the files take that are not in a folder yet, while they are fetched."""
    needed = 0
    for file in map(OFFICIAL.__getitem__, names):
        if not (folder / file.file_name).exists():
            partial = folder / f"{file.download_name}.partial"
            done = partial.stat().st_size if partial.exists() else 0
            needed += max(0, file.bytes - done) + (file.member_bytes if file.unpacked else 0)
    return needed


def check_space(names: Iterable[str], folder: Path) -> None:
    """Raise `AssetError` if the disk has no room for the files."""
    needed = bytes_needed(names, folder)
    existing = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(existing).free
    if needed and free < needed + _SPARE_BYTES:
        advice = "free some space, or name another folder with --data-dir"
        raise AssetError(folder, f"{needed / 1e9:.1f} GB are needed, and {free / 1e9:.1f} are free", advice=advice)


def fetch(name: str, folder: Path, *, mirror: str | None = None, sha256: str | None = None) -> Steps[Path]:
    """Fetch an official file, unless it is in the folder.

    It gets its name when it is whole, has its checksum (the published one, else that of the first time it was fetched
    into this folder) and was found to be what it should be.

    Args:
        name: A name in `OFFICIAL`.
        folder: Where it is put.
        mirror: Address of a folder on another server that has files of the same names; None for the official one.
        sha256: The checksum that the download must have, in place of the known one.

    Returns:
        Its path.

    Raises:
        AssetError: It cannot be downloaded, differs from its checksum, or is not what it should be.
    """
    file = OFFICIAL[name]
    url = file.url if mirror is None else urljoin(mirror.rstrip("/") + "/", file.download_name)
    check_address(url)
    path, kept = folder / file.download_name, folder / file.file_name
    if not kept.is_file():
        with only_one(kept, doing=f"fetches {name}", option="--data-dir") as waiting:
            yield from waiting
            if not kept.is_file():
                if not path.is_file():  # else a run was killed before it unpacked it
                    wanted = sha256 or file.sha256 or _known(folder).get(path.name)
                    yield from download(url, path, sha256=wanted, check=lambda partial: _check(file, partial))
                if file.unpacked:
                    yield from _unpack(path, file, kept)
                _remember(folder, kept.name, (yield from file_sha256(kept)))
            _clear(path, kept)
        return kept
    _clear(path, kept)
    digest = yield from file_sha256(kept)
    expected = (None if file.unpacked else sha256 or file.sha256) or _known(folder).get(kept.name, digest)
    if digest != expected.lower():
        advice = f"it is damaged or another one: delete it, then fetch again: infersent-tui fetch {name}"
        raise AssetError(kept, f"has another checksum: {digest}", expected=expected.lower(), advice=advice)
    _remember(folder, kept.name, digest)
    return kept


def _clear(path: Path, kept: Path) -> None:
    """Delete what is left beside a finished file, also by a run that was killed; whoever waits finds the file."""
    delete_partial(path)
    if path != kept:
        path.unlink(missing_ok=True)
    kept.with_name(kept.name + ".lock").unlink(missing_ok=True)


def _known(folder: Path) -> dict[str, str]:
    """Read the checksums of what was fetched into a folder, by file name."""
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _remember(folder: Path, name: str, digest: str) -> None:
    """Keep the checksum of a file."""
    if _known(folder).get(name) == digest:
        return
    lines = [f"{each}  {file}\n" for file, each in {**_known(folder), name: digest}.items()]
    with whole_file(folder / CHECKSUMS, advice=_SPACE) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _unpack(path: Path, file: OfficialFile, kept: Path) -> Steps[None]:
    """Unpack the wanted member of a downloaded archive."""
    with whole_file(kept, advice=_SPACE) as temporary, temporary.open("wb") as target:
        yield from _read_member(path, file, target)


def _check(file: OfficialFile, path: Path) -> Steps[None]:
    """Check that a download is what it should be; raise `AssetError` if it is not."""
    if file.member:
        yield from _read_member(path, file)
    else:
        from core.encoding.weights import read_weights

        yield Progress(f"reading {file.file_name}", 0, 0, "")
        read_weights(path)


def _read_member(path: Path, file: OfficialFile, target: IO[bytes] | None = None) -> Steps[None]:
    """Read the wanted member of an archive to its end, which checks its CRC-32, and write it to `target`."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = next((each for each in archive.infolist() if each.filename == file.member), None)
            if info is None:
                names = ", ".join(archive.namelist()[:3])
                raise AssetError(path, f"the archive has no {file.member}, but {names or 'nothing'}")
            size = info.file_size
            if size > _MOST_TIMES * file.member_bytes or size > _MOST_RATIO * max(1, info.compress_size):
                found = f"{file.member} in the archive is {size / 1e6:,.0f} MB, from {info.compress_size / 1e6:,.1f} MB"
                raise AssetError(path, found, expected=f"about {file.member_bytes / 1e6:,.0f} MB")
            with archive.open(info) as member:
                while block := member.read(_BLOCK_BYTES):
                    if target is not None:
                        target.write(block)
                    stage = f"{'checking' if target is None else 'unpacking'} {Path(file.member).name}"
                    yield Progress(stage, member.tell() / 1e6, size / 1e6, "MB")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise AssetError(path, f"is no whole zip archive ({error})", advice="delete it, then fetch again") from error
