"""The commands doctor, paths, cache and completion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui.documents import flat
from tui.flags import CONTEXT, as_json, asset_options, assume_yes, captions_file, confirm_deletion
from tui.options import Options
from tui.output import tell, tell_json, tell_lines, tell_row
from tui.pace import run_steps

if TYPE_CHECKING:
    from core.store.cache import CacheEntry


@click.command()
@captions_file
@click.option("--deep", is_flag=True, help="Also read every computed file, and have damaged ones made again.")
@as_json
@asset_options
@click.pass_context
def doctor(context: click.Context, file: Path | None, deep: bool, as_json: bool) -> None:
    """Show which files and settings are in use, and check that they work together. Encodes no captions.

    FILE is a file of captions, as with --captions.
    """
    from tui.doctor import examine

    document = examine(Options.of(context, file=file), deep=deep)
    if as_json:
        tell_json(document, indent=1)
    else:
        for name, value in flat(document):
            tell(f"{name:24} {value}")
    context.exit(0 if document["ok"] else 2)


@click.command()
@as_json
@asset_options
@click.pass_context
def paths(context: click.Context, as_json: bool) -> None:
    """Print the paths of the files in use and of the cache."""
    options = Options.of(context)
    assets = options.find_assets()
    document = {
        "model": assets.weights and str(assets.weights),
        "vectors": assets.vectors and str(assets.vectors),
        "embeddings": assets.embeddings and str(assets.embeddings),
        "captions": str(assets.captions),
        "against": options.against and str(options.against),
        "cache": str(options.open_cache().root),
    }
    if as_json:
        tell_json(document)
    else:
        for name, path in document.items():
            if path is not None:
                tell_row(name, path)


@click.group(context_settings=CONTEXT)
@asset_options
def cache() -> None:
    """List or delete computed files."""


@cache.command("list")
@as_json
@asset_options
@click.pass_context
def cache_list(context: click.Context, as_json: bool) -> None:
    """List the encoded captions and converted word vectors."""
    entries = list(Options.of(context).open_cache().entries())
    if as_json:
        plain = [
            {"kind": e.kind, "key": e.key, "bytes": e.bytes, "whole": e.whole, "about": e.about, "path": str(e.path)}
            for e in entries
        ]
        tell_json(plain)
        return
    for entry in entries:
        tell(_line(entry))


@cache.command("prune")
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would be deleted.")
@assume_yes
@asset_options
@click.pass_context
def cache_prune(context: click.Context, dry_run: bool, yes: bool) -> None:
    """Delete everything except what was computed from the files and settings in use."""
    options = Options.of(context)
    setup, opened_cache = options.setup(), options.open_cache()

    from core.opening import locate, shards_of

    places, keep = run_steps(locate(setup, opened_cache), quiet=False), set[Path]()
    for its_setup, each in ((setup, places), (setup.second, places.second)):
        if its_setup is not None and each is not None:
            keep |= {each.vectors, each.matrix, *shards_of(its_setup, each, opened_cache).needed()}
    if options.store is not None:
        keep.add(opened_cache.folder("matrix", _key_of_store(options.store)))
    unused = [entry for entry in opened_cache.entries() if entry.path not in keep]
    for entry in unused:
        tell(_line(entry))
    if not unused:
        tell("nothing to delete")
    elif not dry_run:
        if not yes:
            confirm_deletion(len(unused))
        deleted = opened_cache.prune(keep)
        tell(f"deleted {len(deleted)}, {sum(entry.bytes for entry in deleted) / 1e6:,.1f} MB")
        if len(deleted) < len(unused):
            tell(f"kept {len(unused) - len(deleted)}: another process is writing them", err=True)


def _key_of_store(address: str) -> str:
    from core.cluster.connection import Connection

    return Connection(address).finished().key


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell: add `eval "$(infersent-tui completion bash)"` to its start-up file."""
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"no completion for {shell}")
    program = context.find_root().command
    tell_lines(completion_class(program, {}, "infersent-tui", "_INFERSENT_TUI_COMPLETE").source())


def _line(entry: CacheEntry) -> str:
    """Describe a cache entry in one line."""
    state, size = "" if entry.whole else "unfinished  ", f"{entry.bytes / 1e6:,.1f} MB"
    return f"{entry.kind:8} {entry.key[:12]}  {size:>12}  {state}{entry.about}"
