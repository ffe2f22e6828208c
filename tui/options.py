"""Options: those that every command takes, and the files and settings that they describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from core.assets import DEVICE_NAMES, Assets, is_device_name

if TYPE_CHECKING:
    from core.opening import Need, Opened, Setup
    from core.store.cache import Cache
    from core.store.progress import Steps


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; None where they did not say."""

    data_dir: Path | None = None
    model: Path | None = None
    vectors: Path | None = None
    captions: Path | None = None
    model_version: str | None = None
    vocab_size: str | None = None
    device: str | None = None
    dtype: str | None = None
    cache_dir: Path | None = None
    text_column: str | None = None
    id_column: str | None = None
    group_column: str | None = None

    @classmethod
    def of(cls, context: click.Context) -> Options:
        """Collect the options of a command and of the group it belongs to; the command's own flags win."""
        return cls(**{field.name: context.meta.get(_META + field.name) for field in fields(cls)})

    def find_assets(self) -> Assets:
        """Decide which files to use.

        Raises:
            AssetError: A file that was named is not there.
        """
        return Assets.find(
            data_dir=self.data_dir,
            weights=self.model,
            vectors=self.vectors,
            captions=self.captions,
            version=int(self.model_version) if self.model_version else None,
        )

    def open_cache(self) -> Cache:
        """The cache folder in use."""
        from core.store.cache import Cache

        return Cache(self.cache_dir or Cache.default_root())

    def setup(self) -> Setup:
        """Find the files and settle the settings. Imports torch.

        Raises:
            AssetError: A file or device that was named is not there.
        """
        assets = self.find_assets()  # before the slow import, so that a wrong path is reported at once

        from core.corpus.captions import Columns
        from core.opening import Setup

        return Setup.choose(
            assets,
            device=self.device or "auto",
            dtype=self.dtype or "auto",
            vocab_size=None if self.vocab_size in (None, "all") else int(self.vocab_size or 0),
            columns=Columns(self.text_column, self.id_column, self.group_column),
        )

    def open_corpus(self, need: Need = "matrix") -> Steps[Opened]:
        """Begin to open the corpus. Imports torch.

        Raises:
            AssetError: A file or device that was named is not there.
        """
        setup = self.setup()

        from core.opening import open_

        return open_(setup, self.open_cache(), need=need)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep an option's value where `Options.of` finds it; the command's flag wins over the group's."""
    if value is None:
        return
    name = str(parameter.name)
    if name == "vocab_size" and value != "all" and not (value.isascii() and value.isdigit() and int(value) > 0):
        raise click.BadParameter("a whole number above 0, or `all`", context, parameter)
    if name == "device" and not is_device_name(value):
        raise click.BadParameter(f"one of {DEVICE_NAMES}", context, parameter)
    if context.get_parameter_source(name) is ParameterSource.COMMANDLINE or _META + name not in context.meta:
        context.meta[_META + name] = value


_META = "infersent_tui."
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
"""Settings of the command groups."""
quiet = click.option("-q", "--quiet", is_flag=True, help="No messages or progress on stderr.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_FILE = click.Path(path_type=Path)

_OPTIONS: list[tuple[str, Any, str]] = [
    ("--data-dir", _FILE, "Folder with files under their official names, a few folders deep."),
    ("--model", _FILE, "InferSent weights: infersent2.pkl, or any state dict of that form."),
    ("--vectors", _FILE, "Word vectors: a .vec text file, plain, .gz or .zip."),
    ("--captions", _FILE, "COCO captions .json, or .txt .csv .tsv .jsonl .parquet, also .gz; - is stdin."),
    ("--model-version", click.Choice(["1", "2"]), "InferSent version; told from the weights' name."),
    ("--vocab-size", str, "Know only the first so many words of the vectors (default: all)."),
    ("--device", str, "auto (default), cpu, cuda or cuda:N."),
    ("--dtype", click.Choice(["auto", "float32", "bfloat16"]), "What captions are encoded in (default: auto)."),
    ("--cache-dir", _FILE, "Where computed things are kept."),
    ("--text-column", str, "The column that holds the captions of a table."),
    ("--id-column", str, "The column that holds caption ids."),
    ("--group-column", str, "The column that says which captions describe the same image."),
]


def asset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options common to all, each also read from its `INFERSENT_TUI_...` variable."""
    for name, kind, text in reversed(_OPTIONS):
        variable = "INFERSENT_TUI_" + name.removeprefix("--").replace("-", "_").upper()
        command = click.option(name, type=kind, help=text, callback=_keep, envvar=variable, expose_value=False)(command)
    return command
