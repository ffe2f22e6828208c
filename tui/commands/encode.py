"""The command encode, which encodes a corpus on one machine or, a shard each, on many."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.assets import first_names
from tui.documents import corpus_document
from tui.flags import as_json, asset_options, captions_file, quiet
from tui.options import Options
from tui.output import tell, tell_json
from tui.pace import print_message, print_notes, run_steps

if TYPE_CHECKING:
    from core.encoding.row_files import BuildReport
    from core.encoding.shards import Shard
    from core.sharding import Sharded


class _ShardType(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click alone
    """I/N, the number of a shard from 0, and how many there are."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", str(value), re.ASCII)
        number, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if not count:
            self.fail("a shard is I/N, such as 0/3, 1/3 and 2/3 for three of them", param, ctx)
        if number >= count:
            self.fail(f"shards are counted from 0: the last one of {count} is {count - 1}/{count}", param, ctx)
        return number, count


@click.command()
@captions_file
@click.option("--shard", type=_ShardType(), help="Encode one of N parts, the first is 0/N; jobs share --cache-dir.")
@click.option("--gather", is_flag=True, help="Join the shards once all are encoded; say which are missing.")
@as_json
@quiet
@asset_options
@click.pass_context
def encode(
    context: click.Context, file: Path | None, shard: tuple[int, int] | None, gather: bool, as_json: bool, quiet: bool
) -> None:
    """Encode all captions, also by the encoder of --against. An interrupted run is continued.

    FILE is a file of captions, as with --captions. Several jobs can each encode a shard of them, and one joins the
    shards: the result is that of one machine, bit by bit.
    """
    options = Options.of(context, file=file)
    if options.store is not None:
        raise click.UsageError("to write captions to a store, use the command index")
    if shard is not None and gather:
        raise click.UsageError("--gather joins the shards that --shard encodes: first the one, then the other")
    if shard is not None or gather:
        _encode_in_shards(options, shard, as_json=as_json, quiet=quiet)
        return

    from core.opening import open_second

    opened = run_steps(options.open_corpus(), quiet=quiet)
    run_steps(open_second(opened), quiet=quiet)
    print_notes(opened, quiet=quiet)
    document = _encoded(opened.report, opened.matrix.folder) | {
        "dim": opened.matrix.dim,
        "corpus": corpus_document(opened.captions),
    }
    if opened.second is not None:
        document["against"] = _encoded(opened.second.report, opened.second.matrix.folder) | {
            "dim": opened.second.matrix.dim
        }
    if as_json:
        tell_json(document)
        return
    for each in filter(None, (opened, opened.second)):
        name = f"{each.setup.model_name}: " if opened.second is not None else ""
        tell(name + _told(each.report, each.matrix.folder))


def _encode_in_shards(options: Options, part: tuple[int, int] | None, *, as_json: bool, quiet: bool) -> None:
    """Encode one shard, or join all if `part` is None."""
    setup, cache = options.setup(), options.open_cache()

    from core.encoding.shards import Shard
    from core.sharding import encode_shard, join_shards

    shard = None if part is None else Shard(*part)
    steps = join_shards(setup, cache) if shard is None else encode_shard(setup, cache, shard)
    done = run_steps(steps, quiet=quiet)
    for note in (done[0].captions.understood(), *(f"note: {problem}" for problem in cache.problems)):
        print_message(note, quiet=quiet)
    if as_json:
        first, *second = (_sharded(each, shard) for each in done)
        corpus = {"corpus": corpus_document(done[0].captions)}
        tell_json(first | corpus | ({"against": second[0]} if second else {}))
        return
    for each in done:
        name = f"{each.model_name}: " if len(done) > 1 else ""
        if each.report.started_over:
            print_message(f"note: {name}started over, since {each.report.started_over}", quiet=quiet)
        of_shard, verb = ("", "joined") if shard is None else (f" of shard {shard}", "encoded")
        tell(name + _told(each.report, each.folder, of_shard, verb))
        if shard is not None and not each.is_joined:
            missing = first_names([f"{number}/{shard.count}" for number in each.missing], most=8)
            is_last = "all shards are encoded: join them with --gather in place of --shard"
            print_message(f"{name}{f'not encoded yet: {missing}' if missing else is_last}", quiet=quiet)


def _encoded(report: BuildReport, folder: Path) -> dict[str, Any]:
    """Return what encoding captions did as values for JSON."""
    fresh = 0 if report.reused else report.rows - report.resumed_rows
    return {
        "rows": report.rows,
        "seconds": round(report.seconds, 3),
        "sentences_per_second": round(fresh / report.seconds, 1),
        "path": str(folder),
        "reused": report.reused,
        "resumed_rows": report.resumed_rows,
    }


def _sharded(done: Sharded, shard: Shard | None) -> dict[str, Any]:
    """Return what a job did for one encoder as values for JSON."""
    document = _encoded(done.report, done.folder)
    return document | (
        {} if shard is None else {"shard": str(shard), "missing": done.missing, "joined": done.is_joined}
    )


def _told(report: BuildReport, folder: Path, of_shard: str = "", verb: str = "encoded") -> str:
    captions = f"{report.rows:,} captions{of_shard}"
    if report.reused:
        return f"{captions} were {verb} before: {folder}"
    resumed = f" ({report.resumed_rows:,} of them before)" if report.resumed_rows else ""
    return f"{captions} {verb}{resumed} in {report.seconds:.1f} s: {folder}"
