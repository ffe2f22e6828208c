"""The command fetch, which downloads the official files."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from core.assets import AssetError, Assets
from core.official import OFFICIAL, USUAL, OfficialFile
from tui.flags import as_json, asset_options, quiet
from tui.interruption import is_interrupted
from tui.options import Options
from tui.output import tell, tell_json
from tui.pace import print_message, run_steps
from tui.trail import fetched_folder

_FETCHING = re.compile(r"infersent-tui fetch(?: (\w+))?(?: --data-dir .*)?$", re.DOTALL)  # at the end of an advice


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(OFFICIAL)), metavar="[NAME]...")
@click.option(
    "--mirror",
    metavar="URL",
    envvar="INFERSENT_TUI_MIRROR",
    help="Folder on another server that has files of the official names.",
)
@click.option("--sha256", metavar="HEX", help="The checksum that the download of the one NAME must have.")
@click.option("--accept-licence", is_flag=True, help="Agree to the licences without being asked.")
@as_json
@quiet
@asset_options
@click.pass_context
def fetch(
    context: click.Context,
    names: tuple[str, ...],
    mirror: str | None,
    sha256: str | None,
    accept_licence: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Download the official files: infersent2, crawl and coco, or each NAME of these and infersent1, glove.

    They go to the folder of --data-dir, else to one that is used from then on without an option. An interrupted
    download goes on where it stopped.
    """
    from core.fetching import address_of, check_space, fetch

    if sha256 is not None and len(names) != 1:
        raise click.UsageError("--sha256 is the checksum of one file: give one NAME")
    if sha256 is not None and not re.fullmatch("[0-9A-Fa-f]{64}", sha256):
        raise click.UsageError("--sha256 is 64 digits from 0 to f, as sha256sum prints them")
    names = names or USUAL
    folder = Options.of(context).data_dir or fetched_folder()
    wanted = {name: OFFICIAL[name] for name in names if not _is_there(folder / OFFICIAL[name].file_name)}
    for name, file in wanted.items():
        address = address_of(file, mirror)
        print_message(f"{name:10} {file.bytes / 1e6:7,.0f} MB  {file.licence}  {address}", quiet=quiet)
    if sha256 is not None and not wanted and OFFICIAL[names[0]].unpacked:
        print_message("it is there already: --sha256, which is about its download, is not compared", quiet=quiet)
    space = check_space(wanted, folder)
    if wanted:
        total = f"{sum(file.bytes for file in wanted.values()) / 1e6:,.0f} MB in all"
        room = f"{space.needed / 1e9:.1f} GB of disk space needed, {space.free / 1e9:.1f} GB free"
        print_message(f"{total}, into {folder}; {room}", quiet=quiet)
    if not accept_licence:
        _ask(wanted, folder, mirror)
    paths = [run_steps(fetch(name, folder, mirror=mirror, sha256=sha256), quiet=quiet) for name in names]
    if as_json:
        tell_json({name: str(path) for name, path in zip(names, paths, strict=True)})
    else:
        for path in paths:
            tell(str(path))
    print_message(_next_step(folder, mirror), quiet=quiet)


def _next_step(folder: Path, mirror: str | None) -> str:
    """Say how to explore the files of a folder, or what is still needed for that."""
    try:
        Assets.find(data_dir=folder)
    except AssetError as error:
        told = _FETCHING.search(error.advice)
        if told is None:
            return f"still needed: {error.expected}: {error.advice}"
        command = _command([told[1]] if told[1] else [], folder, mirror)
        return f"still needed: {error.expected}: {error.advice[: told.start()]}{command}"
    return f"to explore them: {shlex.join(['infersent-tui', *_in_folder(folder)])}"


def _command(names: Iterable[str], folder: Path, mirror: str | None) -> str:
    """Return the command that fetches other files from the same server into the same folder."""
    options = ["--mirror", mirror] if mirror else []
    return shlex.join(["infersent-tui", "fetch", *names, *options, *_in_folder(folder)])


def _in_folder(folder: Path) -> list[str]:
    return [] if folder == fetched_folder() else ["--data-dir", str(folder)]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error


def _ask(wanted: dict[str, OfficialFile], folder: Path, mirror: str | None) -> None:
    """Ask the person to agree to the licences that forbid some uses; the folder and the mirror are for the advice.

    Raises:
        UsageError: Standard input is no terminal.
        ClickException: The person does not agree.
    """
    asked = [f"{name} ({file.licence})" for name, file in wanted.items() if file.needs_consent]
    if not asked:
        return
    if sys.stdin is None or not sys.stdin.isatty():  # it may be closed
        text = "standard input is no terminal, so nobody can agree to the licence of"
        raise click.UsageError(f"{text} {', '.join(asked)}: use --accept-licence")
    try:
        agrees = click.confirm(f"Do you agree to the licence of {', '.join(asked)}?", err=True)
    except click.Abort:
        tell(err=True)  # the line of the question ends
        if is_interrupted():
            raise
        agrees = False  # the end of the input
    if not agrees:
        others = [name for name, file in wanted.items() if not file.needs_consent]
        advice = f"; without these files: {_command(others, folder, mirror)}" if others else ""
        raise click.ClickException(f"nothing is fetched, since you do not agree{advice}")
