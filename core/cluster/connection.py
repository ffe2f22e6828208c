"""Connection: a store at its address, opened, asked and written, with errors for people."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.assets import AssetError, first_names
from core.cluster.schema import ABOUT, CAPTIONS, About

OPTION = "--store"
EXTRA = "pip install 'infersent-tui[cluster]'"
_REMOTE = {"timeout": "30s", "connect_timeout": "5s", "client_max_retries": "3", "client_retry_timeout": "30"}
_RETRY = "check the address and the network, then ask again"
_RETRY_FOLDER = "check that the folder is there and whole, then ask again"
_ADVICE = {
    r"status code: 40[13]|forbidden|privileges|access ?denied|credential": "check your rights there: "
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION",
    "permission denied": "change the permissions of the folder, or name another one",
    r"no space left|os error 28|quota": "free some space, then do it again; what is finished is kept",
    "no such bucket|nosuchbucket": "make the bucket first, or check its name",
}
"""What to do, by what a library's error says."""
_LONGEST = 300  # characters of a library's error
_PLACE_IN_SOURCE = re.compile(r",? ?/\S+\.rs:\d+(:\d+)?")


class Connection:
    """The tables at an address: a folder, or `s3://BUCKET/PREFIX` with the usual AWS_... variables.

    Args:
        address: The address.
        must_exist: Whether a folder must be there already.

    Raises:
        AssetError: The extra is not installed, or the address cannot be reached.
    """

    def __init__(self, address: str, *, must_exist: bool = True) -> None:
        self.address = address
        os.environ.setdefault("LANCEDB_LOG", "error")  # its warnings would be written over the screen
        try:
            import lancedb  # noqa: F401 - slow, and not installed everywhere
        except ImportError as error:
            advice = f"install it: {EXTRA}"
            raise AssetError(address, "a store needs lancedb, which is not installed", advice=advice) from error
        _check_local(address)
        if must_exist and "://" not in address and not Path(address).is_dir():  # else it would be made
            raise AssetError(address, "no such folder", expected="a store", advice=f"check the address: {OPTION}")

    @cached_property
    def _database(self) -> Any:
        import lancedb

        with self.errors():  # a folder is made only now
            return lancedb.connect(self.address, storage_options=_REMOTE if "://" in self.address else None)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise `AssetError` for the errors of the library."""
        try:
            yield
        except (RuntimeError, OSError, ValueError, pa.ArrowException) as error:
            text = _PLACE_IN_SOURCE.sub("", " ".join(str(error).split()))
            usual = _RETRY if "://" in self.address else _RETRY_FOLDER
            advice = next((advice for sign, advice in _ADVICE.items() if re.search(sign, text, re.IGNORECASE)), usual)
            told = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 3]} … {text[-_LONGEST * 2 // 3 :]}"
            raise AssetError(self.address, f"cannot be used ({told})", advice=advice) from error

    def about(self) -> About | None:
        """Read what the store says of itself, finished or not; None where there is none.

        Raises:
            AssetError: It is damaged or of another version, or cannot be read.
        """
        names = self._names()
        if ABOUT not in names:
            if CAPTIONS in names:
                found = f"holds a table named {CAPTIONS} that this program did not write"
                raise AssetError(self.address, found, advice=f"name another address with {OPTION}")
            return None
        with self.errors():
            columns = self.open(ABOUT).to_arrow()
            text = columns["document"][0].as_py() if "document" in columns.column_names and len(columns) else ""
        try:
            return About.of(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            found = f"what the store says of itself is not readable ({error})"
            advice = f"write one to another address with {OPTION}, or delete this one first"
            raise AssetError(self.address, found, advice=advice) from error

    def finished(self) -> About:
        """Read what a finished store says of itself.

        Raises:
            AssetError: There is no store, it is unfinished, damaged or of another version, or cannot be read.
        """
        about = self.about()
        if about is None or not about.is_finished:
            if about is None:
                found = "holds no store"
                advice = f"make it with `infersent-tui index CAPTIONS {OPTION} {self.address}`, or check the address"
            else:
                found = "holds a store that was not finished"
                advice = "repeat the command that began it, which goes on with it"
            raise AssetError(self.address, found, advice=advice)
        return about

    def _names(self) -> set[str]:
        names: set[str] = set()
        if "://" not in self.address and not Path(self.address).is_dir():
            return names
        token = None
        with self.errors():
            while True:
                page = self._database.list_tables(page_token=token, limit=1000)
                names |= set(page.tables)
                token = page.page_token
                if not token:
                    return names

    def open(self, name: str) -> Any:
        """Open a table."""
        return self._database.open_table(name)

    def begin(self, about: About, schema: pa.Schema, *, again: bool) -> Any:
        """Open the table of the captions of an unfinished store, empty if it is begun `again` or not begun yet."""
        names = self._names()
        with self.errors():
            if again and CAPTIONS in names:
                self._database.drop_table(CAPTIONS)  # first: else another description would stand beside these captions
        if again:
            self.write_about(about)  # before the captions: without it, the table would be somebody else's
        with self.errors():
            if again or CAPTIONS not in names:
                return self._database.create_table(CAPTIONS, schema=schema, mode="overwrite")
            return self.open(CAPTIONS)

    def write_about(self, about: About) -> None:
        """Write what the store says of itself."""
        table = pa.table({"document": [json.dumps(about.plain())]})
        with self.errors():
            self._database.create_table(ABOUT, table, mode="overwrite")


def _check_local(address: str) -> None:
    """Raise `AssetError` where something else than a store is in its place."""
    if "://" in address:
        return
    if match := re.match(r"(\w\w+):/", address):  # of an address
        raise AssetError(address, "has one slash", advice=f"write two: {OPTION} {match[1]}://BUCKET/PREFIX")
    path = Path(address)
    if os.path.lexists(path) and not path.is_dir():
        found = "is a link that leads nowhere" if path.is_symlink() and not path.exists() else "is no folder"
        raise AssetError(address, found, expected="a store, which is a folder", advice=f"name another with {OPTION}")
    names = list[str]()
    with suppress(OSError):  # told when it is opened
        names = [each.name for each in path.iterdir() if each.name != "lost+found" and not each.name.startswith(".")]
    if names and not any(name.endswith(".lance") for name in names):
        advice = f"check the address; to make a store, name a new or empty folder with {OPTION}"
        raise AssetError(address, f"holds other files ({first_names(names)})", expected="a store", advice=advice)
