"""Options: the options of every command, and the files and settings that they name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from core.assets import DEVICE_NAMES, RANDOM, AssetError, Assets, is_device_name
from core.corpus.table import LAYOUTS, Layout
from core.official import OFFICIAL
from core.store.plain import refuse_pipes
from tui.trail import fetched_folder

if TYPE_CHECKING:
    from core.corpus.captions import Captions
    from core.corpus.table import ReadOptions
    from core.opened import Opened
    from core.opening import Need
    from core.setup import Setup
    from core.store.cache import Cache
    from core.store.progress import Steps


@dataclass(frozen=True, slots=True)
class Options:
    """The values of the options; None for options that were not given."""

    data_dir: Path | None = None
    model: Path | None = None
    vectors: Path | None = None
    captions: Path | None = None
    embeddings: Path | None = None
    model_version: str | None = None
    vocab_size: str | None = None
    device: str | None = None
    dtype: str | None = None
    cache_dir: Path | None = None
    layout: Layout | None = None
    text_column: tuple[str, ...] | None = None
    id_column: str | None = None
    group_column: str | None = None
    header: bool | None = None
    separator: str | None = None
    encoding: str | None = None
    against: Path | None = None
    against_vectors: Path | None = None
    resume: str | None = None
    no_trail: bool | None = None
    theme: str | None = None
    seed: int | None = None
    no_mouse: bool | None = None
    low_bandwidth: bool | None = None
    ascii: bool | None = None
    images: Path | None = None
    demo: bool | None = None
    store: str | None = None
    exact: bool | None = None
    nprobes: str | None = None
    refine: str | None = None

    @classmethod
    def of(cls, context: click.Context, *, file: Path | None = None, makes_store: bool = False) -> Options:
        """Collect the options of a command and its groups. The command's own flags take precedence.

        Where `fetch` has put official files, their folder is searched without being named.

        Args:
            context: The command's context.
            file: Captions that are named without an option.
            makes_store: Whether the command makes a store of captions, so that both may be named.

        Raises:
            UsageError: The command line names captions both ways.
        """
        options = cls(**{field.name: context.meta.get(META + field.name) for field in fields(cls)})
        contexts = [each for each in (context, context.parent) if each is not None]
        typed = {
            field.name
            for field in fields(cls)
            if any(each.get_parameter_source(field.name) is ParameterSource.COMMANDLINE for each in contexts)
        }
        options = options._for_demo(typed) if options.demo else options._with_fetched()
        if file is not None:
            if "captions" in typed:
                raise click.UsageError(f"the captions are named twice: {file} and --captions {options.captions}")
            options, typed = replace(options, captions=file), typed | {"captions"}
        return options._as_typed(typed, makes_store=makes_store)

    def _as_typed(self, typed: Set[str], *, makes_store: bool) -> Options:
        """Leave out what only the environment names beside a file, a store or a run that the command line names."""
        left_out: set[str] = set()
        if self.resume is not None:  # a run has its captions
            left_out |= {"captions", *_STORE}
        elif makes_store:
            left_out |= {*_HOW}
        elif "store" in typed:
            left_out |= {*_CORPUS}
        elif typed & {*_CORPUS}:
            left_out |= {*_STORE}
        options = replace(self, **dict.fromkeys(left_out - typed))
        return options if options.store is not None else replace(options, **dict.fromkeys({*_HOW} - typed))

    def _for_demo(self, typed: Set[str]) -> Options:
        """Return the options without the environment's encoder; raise `UsageError` for one on the command line."""
        for name in _DEMO_EXCLUDES:
            if name in typed:
                option = name.replace("_", "-")
                raise click.UsageError(f"--demo is an encoder of its own: leave it out, or --{option}")
        return replace(self, **dict.fromkeys(_DEMO_EXCLUDES))

    def _with_fetched(self) -> Options:
        """Return the options with the folder of fetched files, or its captions where it has no whole encoder."""
        if self.data_dir is not None or self.resume is not None or not fetched_folder().is_dir():
            return self
        with_all = replace(self, data_dir=fetched_folder())
        if with_all._can_be_found():
            return with_all
        with_captions = replace(self, captions=fetched_folder() / OFFICIAL["coco"].file_name)
        return with_captions if self.captions is None and with_captions._can_be_found() else self

    def _can_be_found(self) -> bool:
        with suppress(AssetError):
            return bool(self.find_assets())
        return False

    def document(self) -> dict[str, Any]:
        """Return the options that name files and say how they are read, as values for JSON, with whole paths."""
        names = (*_FILES, *_READING, *_STORE)
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        document = {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in given.items()}
        if self.store is not None and "://" not in self.store:
            document["store"] = str(Path(self.store).resolve())
        return document | ({"against": RANDOM} if str(self.against) == RANDOM else {})

    def filled(self, document: dict[str, Any]) -> Options:
        """Return these options, and for those that were not given the values in a `document`.

        Where a model, embeddings or a folder are given, the document's encoder is left out. So is what is no value of
        an option. Where neither names an encoder, it is the demo's.
        """
        values: dict[str, Any] = {}
        if any(getattr(self, name) is not None for name in _MODELS):
            document = {name: value for name, value in document.items() if name not in _ENCODERS}
        if self.against is not None:
            document = {name: value for name, value in document.items() if name != "against_vectors"}
        if self.store is not None:
            document = {name: value for name, value in document.items() if name not in _CORPUS}
        if self.captions is not None or self.embeddings is not None:
            document = {name: value for name, value in document.items() if name not in _STORE}
        for name in (*_FILES, *_READING, *_STORE):
            value: Any = document.get(name)
            if getattr(self, name) is None and _is_value(name, value):
                values[name] = Path(value) if name in _FILES else tuple(value) if name == "text_column" else value
        filled = replace(self, **values)
        is_demo = all(getattr(filled, name) is None for name in _MODELS)  # whatever was fetched since
        return replace(filled, demo=True) if is_demo else filled

    def reopened(self, wanted: Path | dict[str, Any]) -> Options:
        """Return the options for other captions: another file by the same model, or what a run's `document` says."""
        others = replace(self, **dict.fromkeys((*_FILES, *_READING, *_STORE)), resume=None)
        if isinstance(wanted, dict):
            return others.filled(wanted)
        kept = _ENCODERS if self.embeddings is None else ("data_dir",)
        return replace(others, captions=wanted, **{name: getattr(self, name) for name in kept})

    def arguments(self) -> list[str]:
        """Return the options as arguments of the command line."""
        arguments: list[str] = []
        for each in fields(self):
            name, value = each.name.replace("_", "-"), getattr(self, each.name)
            if isinstance(value, bool):
                arguments += [f"--{name}"] if value else [f"--no-{name}"] if each.name == "header" else []
            elif value is not None:
                values = value if isinstance(value, tuple) else (value,)
                arguments += [f"--{name}={one}" for one in values]
        return arguments

    def find_assets(self) -> Assets:
        """Find the files to use; raise `AssetError` if a named file is missing."""
        refuse_pipes(self.model, self.vectors, self.embeddings, captions=self.captions)
        version = int(self.model_version) if self.model_version else None
        files = {"vectors": self.vectors, "captions": self.captions, "embeddings": self.embeddings}
        return Assets.find(data_dir=self.data_dir, weights=self.model, version=version, **files)

    def reading(self) -> ReadOptions:
        """Collect what the user says about the captions file."""
        from core.corpus.table import ReadOptions

        return ReadOptions(
            layout=self.layout,
            text_columns=self.text_column or (),
            id_column=self.id_column,
            group_column=self.group_column,
            header=self.header,
            separator=self.separator,
            encoding=self.encoding,
        )

    def of_captions(self, command: str) -> Options:
        """Return the options without the store that a command makes of captions by one encoder.

        Raises:
            UsageError: A second encoder is named, or how a store is searched.
        """
        if self.against is not None:
            raise click.UsageError(f"a store is made by one encoder: leave out --against with {command}")
        for name in _HOW:
            if getattr(self, name) is not None:
                raise click.UsageError(f"--{name} says how a store is searched: leave it out with {command}")
        return replace(self, store=None)

    def open_cache(self) -> Cache:
        """Open the cache folder."""
        from core.store.cache import Cache

        return Cache(self.cache_dir or Cache.default_root())

    def setup(self) -> Setup:
        """Find the files and choose the settings; raise `AssetError` if a named file or device is missing."""
        for name in _HOW:
            if self.store is None and getattr(self, name) is not None:
                raise click.UsageError(f"--{name} says how a store is searched: name one with --store, or leave it out")
        for name in ("captions", "embeddings", "against"):
            if self.store is not None and getattr(self, name) is not None:
                found = f"{said('store')} has captions and embeddings of its own"
                raise click.UsageError(f"{found}: leave out {said(name)}")
        assets = self.find_assets()  # before the import of torch, so that a wrong path is reported immediately

        from core.setup import Setup

        setup = Setup.choose(
            assets,
            device=self.device or "auto",
            dtype=self.dtype or "auto",
            vocab_size=None if self.vocab_size in (None, "all") else int(self.vocab_size or 0),
            reading=self.reading(),
        )
        if self.against is None and self.against_vectors is not None:
            raise AssetError(self.against_vectors, "are vectors of no encoder", advice="name it too, with --against")
        return setup if self.against is None else setup.with_second(self.against, self.against_vectors)

    def open_corpus(self, need: Need = "matrix", *, check: Callable[[Captions], None] | None = None) -> Steps[Opened]:
        """Start to open the corpus, as `core.opening.open_` does; raise `AssetError` if a named file is missing."""
        setup = self.setup()

        if self.store is not None:
            return self._open_store(setup, need)

        from core.opening import open_

        return open_(setup, self.open_cache(), need=need, check=check)

    def _open_store(self, setup: Setup, need: Need) -> Steps[Opened]:
        """Start to open a store in the place of a captions file."""
        from core.cluster.opening import open_store
        from core.cluster.schema import Approximation

        given = {"nprobes": self.nprobes, "refine": self.refine}
        how = Approximation(**{name: int(value) for name, value in given.items() if value is not None})
        return open_store(setup, self.open_cache(), str(self.store), how=how, is_exact=bool(self.exact), need=need)


def said(name: str) -> str:
    """Return how an option is said: by its flag or, where that is set, by its variable."""
    variable = f"INFERSENT_TUI_{name.upper()}"
    return variable if variable in os.environ else f"--{name.replace('_', '-')}"


def fits(name: str, value: Any) -> bool:
    """Tell whether a text is a value of an option."""
    return name not in VALUES or bool(VALUES[name][0](value))


def _is_value(name: str, value: Any) -> bool:
    """Tell whether a value in a document is one of an option, and an argument that a program can be started with."""
    if name == "text_column":
        return isinstance(value, list | tuple) and bool(value) and all(map(_is_argument, value))
    return isinstance(value, bool) if name in ("header", "exact") else _is_argument(value) and fits(name, value)


def _is_argument(value: Any) -> bool:
    with suppress(UnicodeEncodeError):  # half of a character that no file name has
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    return False


def _is_text_encoding(name: str) -> bool:
    try:
        "a".encode(name)
    except (LookupError, ValueError):  # a name with a null character
        return False
    return True


VALUES: dict[str, tuple[Callable[[str], object], str]] = {
    "model_version": (re.compile("[12]").fullmatch, "1 or 2"),
    "vocab_size": (re.compile("all|0*[1-9][0-9]{0,17}").fullmatch, "a whole number above 0, or `all`"),
    "nprobes": (re.compile("0*[1-9][0-9]{0,8}").fullmatch, "a whole number above 0"),
    "refine": (re.compile("0*[1-9][0-9]{0,8}").fullmatch, "a whole number above 0"),
    "store": (bool, "a folder, or an address such as s3://BUCKET/PREFIX"),
    "device": (is_device_name, f"one of {DEVICE_NAMES}"),
    "layout": (LAYOUTS.count, f"one of {', '.join(LAYOUTS)}"),
    "separator": (bool, "at least one character"),
    "encoding": (_is_text_encoding, "a name of a text encoding, such as cp1252 or utf-16-le"),
}
"""What a value of an option fulfils, and that in words."""
_DEMO_EXCLUDES = ("data_dir", "model", "vectors", "embeddings", "model_version")
_MODELS = ("data_dir", "model", "embeddings")
_FILES = ("data_dir", "model", "vectors", "captions", "embeddings", "against", "against_vectors")
_COLUMNS = ("text_column", "id_column", "group_column")
_READING = ("model_version", "vocab_size", "layout", *_COLUMNS, "header", "separator", "encoding")
_HOW = ("exact", "nprobes", "refine")
_STORE = ("store", *_HOW)
_CORPUS = ("captions", "embeddings", "against", "against_vectors")
"""Options of which a store has its own."""
_ENCODERS = (
    *("demo", "data_dir", "model", "vectors", "embeddings", "model_version", "vocab_size"),
    *("against", "against_vectors"),
)
"""Options that say by which model captions are explored."""
META = "infersent_tui."
"""Prefix of the names by which click's context keeps the values."""
