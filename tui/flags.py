"""Flags: the options of the commands as click declares them; each can also be set by a variable of its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from core.corpus.table import LAYOUTS
from core.ranking.axes import AxesError
from core.ranking.filters import FilterError
from tui.options import META, VALUES, Options, fits, said

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
"""The click settings of the command groups."""
quiet = click.option("-q", "--quiet", is_flag=True, help="Print no messages or progress on stderr.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_FILE = click.Path(path_type=Path)
captions_file = click.argument("file", type=_FILE, required=False)
"""FILE: captions that are named without an option."""

assume_yes = click.option("-y", "--yes", is_flag=True, help="Delete without asking.")


def check_second(options: Options, methods: Sequence[str]) -> None:
    """Raise `UsageError` where a second encoder is asked and none is named."""
    if "against" in methods and options.against is None:
        raise click.UsageError("--method against needs a second encoder: --against MODEL")


def refuse_store(options: Options, what: str) -> None:
    """Raise `UsageError` where a store is named for what needs all captions in memory."""
    if options.store is not None:
        advice = f"leave out {said('store')}, or name a file of captions"
        raise click.UsageError(f"{what} needs all captions in memory: {advice}")


@contextmanager
def refusing(option: str) -> Iterator[None]:
    """Raise `UsageError` for an error in the value of an option: a filter or axes."""
    try:
        yield
    except (AxesError, FilterError) as error:
        raise click.UsageError(f"{option}: {error}") from error


def confirm_deletion(count: int) -> None:
    """Ask the person whether to delete so many things, and end the command unless they say yes.

    Raises:
        UsageError: Standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("standard input is no terminal, so nobody can confirm: use --yes")
    click.confirm(f"Delete these {count}?", abort=True)


_OPTIONS: list[tuple[str, Any, str]] = [
    ("--demo", bool, "The bundled demo, also where official files were fetched."),
    ("--data-dir", _FILE, "Folder that is searched, some levels deep, for files with the official names."),
    ("--model", _FILE, "InferSent weights: infersent2.pkl, or a state dict with these tensors, also .safetensors."),
    ("--vectors", _FILE, "Word vectors: a .vec text file, plain, .gz or .zip."),
    ("--captions", _FILE, "File of captions: COCO JSON, a table, JSON lines, Parquet, a caption a line; - is stdin."),
    ("--embeddings", _FILE, "Embeddings of the captions by any encoder, .npy or .parquet; --model is not needed then."),
    ("--against", _FILE, "A second encoder as one more method: its weights, or `random` for untrained ones."),
    ("--against-vectors", _FILE, "The word vectors of the second encoder (default: those of the first)."),
    (
        "--store",
        str,
        "A store in the place of --captions: a folder, or s3://BUCKET/PREFIX; `index` makes it.",
    ),
    ("--exact", bool, "Compare with all embeddings of a store, also where it has an index."),
    ("--nprobes", str, "Partitions that an approximate search of a store looks into (default: 50)."),
    ("--refine", str, "Candidates for a hit that it compares by their embeddings (default: 4)."),
    ("--model-version", click.Choice(["1", "2"]), "InferSent version (default: from the file name of the weights)."),
    ("--vocab-size", str, "Use only the first N words of the vectors (default: all)."),
    ("--device", str, "auto (default), cpu, cuda or cuda:N."),
    ("--dtype", click.Choice(["auto", "float32", "bfloat16"]), "Number format for encoding captions (default: auto)."),
    ("--cache-dir", _FILE, "Folder for computed files."),
    ("--layout", click.Choice(LAYOUTS), "Layout of the captions file (default: recognised by its content)."),
    ("--text-column", str, "Column that contains captions; repeat it for several. From 1 without a header."),
    ("--id-column", str, "Column that contains the caption ids."),
    ("--group-column", str, "Column that contains the image ids, equal for captions of one image."),
    ("--header/--no-header", bool, "Whether the first row of a table names its columns (default: recognised)."),
    ("--separator", str, "What stands between the columns of a table, such as ; or tab."),
    ("--encoding", str, "Encoding of the captions file, such as cp1252 (default: UTF-8, or as its first bytes say)."),
]

_RUN = {"metavar": "RUN", "is_flag": False, "flag_value": "last"}
_EXPLORER_OPTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("--resume", _RUN, "Go on with an earlier run: a name that `trail list` prints, or the last."),
    ("--no-trail", {"is_flag": True, "default": None}, "Keep no file of what is asked and bookmarked."),
    ("--theme", {}, "Theme of the screen, as the palette (ctrl+p) lists them."),
    ("--seed", {"type": int}, "Seed of the random captions, so that a run begins like another."),
    ("--no-mouse", {"is_flag": True, "default": None}, "Leave the mouse to the terminal, which then selects text."),
    ("--low-bandwidth", {"is_flag": True, "default": None}, "Paint less, for a slow connection."),
    ("--images", {"type": _FILE}, "Folder of the images, by the file names that the captions file has for them."),
    ("--ascii", {"is_flag": True, "default": None}, "Draw the map without braille, for fonts that lack it."),
]


def explorer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that concern the explorer's screen; each can also be set by its variable `INFERSENT_TUI_...`."""
    for name, how, text in reversed(_EXPLORER_OPTIONS):
        command = _option(name, text, **how)(command)
    return command


def asset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the common options to a command; each can also be set by its variable `INFERSENT_TUI_...`."""
    for name, kind, text in reversed(_OPTIONS):
        is_flag = {"default": None, "is_flag": True} if kind is bool else {}
        command = _option(name, text, type=kind, multiple=name == "--text-column", **is_flag)(command)
    return command


def _option(name: str, text: str, **how: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    variable = "INFERSENT_TUI_" + name.split("/", maxsplit=1)[0].removeprefix("--").replace("-", "_").upper()
    return click.option(name, help=text, callback=_store, envvar=variable, expose_value=False, **how)


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Check an option's value and store it for `Options.of`. A command's flag overrides the group's."""
    if value is None or value == ():
        return
    name = str(parameter.name)
    if not fits(name, value):
        raise click.BadParameter(VALUES[name][1], context, parameter)
    if name == "separator":
        value = {"tab": "\t", "\\t": "\t", "space": " ", "blank": " "}.get(value.lower(), value)
    if context.get_parameter_source(name) is ParameterSource.COMMANDLINE or META + name not in context.meta:
        context.meta[META + name] = value
