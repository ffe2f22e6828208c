"""Doctor, paths, cache and completion: which files are in use, and what was computed from them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from tui.documents import flat
from tui.options import CONTEXT, Options, as_json, asset_options
from tui.pace import run_steps
from tui.text import visible

if TYPE_CHECKING:
    from core.store.cache import CacheEntry


@click.command()
@as_json
@asset_options
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what is in use, from where, and whether it fits together. Encodes nothing, but checks a GPU."""
    from tui.doctor import examine

    document = examine(Options.of(context))
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        for name, value in flat(document):
            click.echo(f"{name:24} {visible(str(value))}")
    context.exit(0 if document["ok"] else 2)


@click.command()
@as_json
@asset_options
@click.pass_context
def paths(context: click.Context, as_json: bool) -> None:
    """Print where the files in use and the cache lie."""
    options = Options.of(context)
    assets = options.find_assets()
    document = {
        "model": str(assets.weights),
        "vectors": str(assets.vectors),
        "captions": str(assets.captions),
        "cache": str(options.open_cache().root),
    }
    if as_json:
        click.echo(json.dumps(document))
    else:
        for name, path in document.items():
            click.echo(f"{name}\t{path}")


@click.group(context_settings=CONTEXT)
@asset_options
def cache() -> None:
    """List or tidy what has been computed."""


@cache.command("list")
@as_json
@asset_options
@click.pass_context
def cache_list(context: click.Context, as_json: bool) -> None:
    """List the encoded captions and converted vectors."""
    entries = list(Options.of(context).open_cache().entries())
    if as_json:
        plain = [
            {"kind": e.kind, "key": e.key, "bytes": e.bytes, "whole": e.whole, "about": e.about, "path": str(e.path)}
            for e in entries
        ]
        click.echo(json.dumps(plain))
        return
    for entry in entries:
        click.echo(_line(entry))


@cache.command("prune")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@asset_options
@click.pass_context
def cache_prune(context: click.Context, dry_run: bool, yes: bool) -> None:
    """Delete everything computed from other files or settings than these options name."""
    options = Options.of(context)
    setup, opened_cache = options.setup(), options.open_cache()

    from core.opening import locate

    places = run_steps(locate(setup, opened_cache), quiet=False)
    keep = {places.vectors, places.matrix}
    doomed = [entry for entry in opened_cache.entries() if entry.path not in keep]
    for entry in doomed:
        click.echo(_line(entry))
    if not doomed:
        click.echo("nothing to delete")
    elif not dry_run:
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here: say --yes")
        if not yes:
            click.confirm(f"Delete these {len(doomed)}?", abort=True)
        gone = opened_cache.prune(keep)
        click.echo(f"deleted {len(gone)}, {sum(entry.bytes for entry in gone) / 1e6:,.1f} MB")
        if len(gone) < len(doomed):
            click.echo(f"kept {len(doomed) - len(gone)}: another process is writing them", err=True)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell: put `eval "$(infersent-tui completion bash)"` into its start-up file."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    program = context.find_root().command
    click.echo(made(program, {}, "infersent-tui", "_INFERSENT_TUI_COMPLETE").source())


def _line(entry: CacheEntry) -> str:
    """Describe a cache entry in a line."""
    state, size = "" if entry.whole else "unfinished  ", f"{entry.bytes / 1e6:,.1f} MB"
    return f"{entry.kind:8} {entry.key[:12]}  {size:>12}  {state}{visible(entry.about)}"
