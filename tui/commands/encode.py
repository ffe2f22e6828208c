"""The command encode, which encodes a corpus on one machine or, a shard each, on many."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.assets import first_names
from tui.commands.index import tell_recall
from tui.documents import corpus_document
from tui.flags import as_json, asset_options, captions_file, quiet
from tui.options import Options, said
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
@click.argument("more", nargs=-1, metavar="")
@click.option("--shard", type=_ShardType(), help="Encode one of N parts, the first is 0/N; jobs share --cache-dir.")
@click.option("--gather", is_flag=True, help="Join the shards once all are encoded; say which are missing.")
@click.option("--ray", metavar="ADDRESS", help="Encode Parquet files on a Ray cluster, straight into --store.")
@as_json
@quiet
@asset_options
@click.pass_context
def encode(
    context: click.Context,
    file: Path | None,
    more: tuple[str, ...],
    shard: tuple[int, int] | None,
    gather: bool,
    ray: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Encode all captions, also by the encoder of --against. An interrupted run is continued.

    FILE is a file of captions, as with --captions. Several jobs can each encode a shard of them, and one joins the
    shards: the result is that of one machine, bit by bit. With --ray, FILE is a folder of Parquet files, also in a
    bucket, or a pattern such as 'captions/*.parquet'.
    """
    if more:
        quoted = "put a pattern into quotes, so that the shell leaves it as it is: 'captions/*.parquet'"
        raise click.UsageError(f"one FILE is encoded, and more are named, such as {more[0]}: {quoted}")
    options = Options.of(context, file=file, makes_store=ray is not None)
    if ray is not None:
        if shard is not None or gather:
            raise click.UsageError("--ray divides the captions itself: leave out --shard and --gather")
        _encode_on_ray(options, ray, as_json=as_json, quiet=quiet)
        return
    if options.store is not None:
        raise click.UsageError(f"to write captions to a store, use the command index, or leave out {said('store')}")
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
        tell(name + _told(each.report, each.folder, "" if each.is_joined else of_shard, verb))
        if shard is not None and not each.is_joined:
            missing = first_names([f"{number}/{shard.count}" for number in each.missing], most=8)
            is_last = "all shards are encoded: join them with --gather in place of --shard"
            print_message(f"{name}{f'not encoded yet: {missing}' if missing else is_last}", quiet=quiet)


def _encode_on_ray(options: Options, address: str, *, as_json: bool, quiet: bool) -> None:
    """Encode many Parquet files on a cluster, into the store that the options name."""
    if options.store is None or options.captions is None:
        raise click.UsageError("with --ray, name the Parquet files (--captions) and the store (--store)")
    corpus = options.of_captions("--ray")
    for name in ("layout", "header", "separator", "encoding"):
        if getattr(options, name) not in (None, "parquet"):
            raise click.UsageError(f"--ray reads Parquet files: leave out --{name}")
    device, dtype = options.device or "auto", options.dtype or "auto"
    if device.startswith("cuda:"):
        raise click.UsageError("with --ray, --device is auto, cpu or cuda: each process has a GPU of its own")
    files = {name: getattr(options, name) for name in ("data_dir", "model", "vectors", "cache_dir")}
    whole = {name: path.absolute() for name, path in files.items() if path is not None}  # processes are elsewhere
    store = options.store if "://" in options.store else str(Path(options.store).absolute())
    corpus = replace(corpus, **whole)
    setup = replace(corpus, captions=None, device="cpu", dtype="float32").setup()
    setup.encoder_files()  # an error if there is none
    pattern = re.sub(r"^(\w+):/(?!/)", r"\1://", str(options.captions))  # a path has one slash of an address

    from core.cluster.connection import Connection
    from core.cluster.on_ray import encode_on_ray

    connection = Connection(store, must_exist=False)
    steps = encode_on_ray(setup, corpus.open_cache(), pattern, connection, address, device=device, dtype=dtype)
    start = time.perf_counter()
    done = run_steps(steps, quiet=quiet)
    seconds, about = time.perf_counter() - start, done.about
    for note in about.notes:
        print_message(f"note: {note}", quiet=quiet)
    if as_json:
        counts = {"parts": done.parts, "earlier_parts": done.earlier, "lost_processes": done.lost}
        tell_json(asdict(about) | counts | {"store": options.store, "seconds": round(seconds, 3)})
        return
    earlier = f" ({done.earlier:,} of {done.parts:,} parts before)" if done.earlier else ""
    tell(f"{about.captions:,} captions encoded{earlier} in {seconds:.1f} s: {options.store}")
    tell_recall(about)


def _encoded(report: BuildReport, folder: Path) -> dict[str, Any]:
    """Return what encoding captions did as values for JSON."""
    fresh = 0 if report.reused else report.rows - report.resumed_rows
    return {
        "rows": report.rows,
        "seconds": round(report.seconds, 3),
        "sentences_per_second": round(fresh / report.seconds, 1) if report.seconds else 0.0,
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
