"""The command line: `infersent-tui` opens the screen, its subcommands do the same work without one."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from core.assets import AssetError
from core.ranking.methods import CHOICES, METHODS, Choice, Method
from tui.options import Options, asset_options
from tui.pace import run_steps
from tui.report import report
from tui.visible import visible

if TYPE_CHECKING:
    from core.answers import Answer
    from core.explorer import Explorer
    from core.query import Token
    from core.ranking.comparison import Comparison

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
_quiet = click.option("-q", "--quiet", is_flag=True, help="No messages or progress on stderr.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def main() -> None:
    """Run the command line; exit 0 ok, 1 nothing found, 2 usage or bad input, 130 interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # captions and paths may hold what the locale cannot write
    try:
        code = cli.main(standalone_mode=False, prog_name="infersent-tui")
    except click.ClickException as error:
        error.show()
        code = 2
    except AssetError as error:
        click.echo(f"infersent-tui: {visible_lines(str(error))}", err=True)
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what is finished is kept", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


class _Commands(click.Group):
    """Ends well when the reader of stdout has gone, as `head` does; click itself would exit with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
            return 0


@click.group(cls=_Commands, invoke_without_command=True, context_settings=_CONTEXT)
@click.version_option(package_name="infersent-tui")
@asset_options
@click.pass_context
def cli(context: click.Context) -> None:
    """See what InferSent's sentence embeddings capture, and where they break.

    Without a command: opens the explorer in this terminal, on the bundled demo unless other files are named.
    Each option may stand before or after the command, and be given as a variable, INFERSENT_TUI_CAPTIONS and so on.
    """
    if context.invoked_subcommand is not None:
        return
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError("the explorer needs a terminal; see `infersent-tui search --help` for scripts")
    options = Options.of(context)
    if str(options.captions) == "-":
        raise click.UsageError("the explorer reads its keys from standard input: put the captions into a file")
    if not os.environ.get("NO_COLOR"):
        os.environ.pop("NO_COLOR", None)  # Textual would take an empty one for a yes

    from tui.app import ExplorerApp

    app = ExplorerApp(options.open_explorer)
    app.run()
    _leave_at_once(app.return_code or 0)


@cli.command()
@_json
@_quiet
@asset_options
@click.pass_context
def encode(context: click.Context, as_json: bool, quiet: bool) -> None:
    """Encode all captions now, without the screen. Goes on where an interrupted run stopped."""
    explorer = Options.of(context).open_explorer()
    run_steps(explorer.open_encoder(), quiet)
    start = time.perf_counter()
    run_steps(explorer.open_captions(), quiet)
    run_steps(explorer.open_matrix(), quiet)
    seconds = time.perf_counter() - start
    report = explorer.report
    _tell_problems(explorer, quiet)
    fresh = 0 if report.reused else report.rows - report.resumed_rows
    document = {
        "rows": report.rows,
        "dim": explorer.matrix.dim,
        "seconds": round(seconds, 3),
        "sentences_per_second": round(fresh / seconds, 1),
        "path": str(explorer.matrix.folder),
        "reused": report.reused,
        "resumed_rows": report.resumed_rows,
    }
    if as_json:
        click.echo(json.dumps(document))
    elif report.reused:
        click.echo(f"{report.rows:,} captions were encoded before: {explorer.matrix.folder}")
    else:
        resumed = f" ({report.resumed_rows:,} of them before)" if report.resumed_rows else ""
        click.echo(f"{report.rows:,} captions encoded{resumed} in {seconds:.1f} s: {explorer.matrix.folder}")


@cli.command()
@click.argument("text", nargs=-1, required=True)
@click.option("-k", default=10, type=click.IntRange(1), show_default=True, help="How many hits.")
@click.option("--method", type=click.Choice(CHOICES), default="infersent", show_default=True, help="How to compare.")
@_json
@click.option("--jsonl", is_flag=True, help="Print a JSON document a query, a line each.")
@click.option("--plain", is_flag=True, help="Print a hit a line: rank, distance or score, row, image id, caption.")
@_quiet
@asset_options
@click.pass_context
def search(
    context: click.Context,
    text: tuple[str, ...],
    k: int,
    method: Choice,
    as_json: bool,
    jsonl: bool,
    plain: bool,
    quiet: bool,
) -> None:
    """Print the captions nearest to TEXT (its words are joined); with -, each line of standard input is a query.

    TEXT may be a sum: 'a dog on a beach - a dog + a horse', or with weights '2 * a dog - 0.5 * a cat'. The verdict
    rests on what `calibrate` measured, where that was run (or the screen was open for long enough).
    """
    if as_json + jsonl + plain > 1:
        raise click.UsageError("choose one of --json, --jsonl and --plain")
    options = Options.of(context)
    from_stdin = text == ("-",)
    if from_stdin and as_json:
        raise click.UsageError("many queries need --jsonl instead of --json")
    if from_stdin and str(options.captions) == "-":
        raise click.UsageError("queries and captions cannot both come from standard input")
    explorer = options.open_explorer()
    run_steps(explorer.prepare(), quiet)
    if method != "infersent":
        run_steps(explorer.open_methods(), quiet)
    run_steps(explorer.open_calibration(), quiet)
    _tell_problems(explorer, quiet)
    found = False
    for query in _lines() if from_stdin else [" ".join(text)]:
        answer = explorer.ask(query, method=method, k=k)
        found = found or len(answer.hits) > 0
        if as_json or jsonl:
            click.echo(json.dumps(_document(explorer, answer)))
        elif plain:
            for hit in _hits(explorer, answer):
                caption = visible(hit["caption"])
                image = "" if hit["image_id"] is None else visible(str(hit["image_id"]))
                click.echo(f"{hit['rank']}\t{_value(hit):.6f}\t{hit['row']}\t{image}\t{caption}")
        else:
            _print_answer(explorer, answer, quiet)
        sys.stdout.flush()
        explorer.remember()
    context.exit(0 if found else 1)


@cli.command()
@_json
@_quiet
@asset_options
@click.pass_context
def calibrate(context: click.Context, as_json: bool, quiet: bool) -> None:
    """Measure how far answers can be trusted on these captions, and print it.

    Queries of several lengths are cut from captions and answered without the caption that they come from.
    """
    explorer = Options.of(context).open_explorer()
    run_steps(explorer.prepare(), quiet)
    run_steps(explorer.calibrate(again=True), quiet)
    _tell_problems(explorer, quiet)
    if explorer.calibration is None:
        found = "holds too few captions to measure anything"
        raise AssetError(
            explorer.assets.captions, found, expected="fifty with known words", advice="take more captions"
        )
    if as_json:
        click.echo(json.dumps(explorer.calibration.document(), indent=1))
    else:
        click.echo(report(explorer.calibration))


@cli.command()
@click.argument("text", nargs=-1, required=True)
@click.option("-k", default=10, type=click.IntRange(1), show_default=True, help="How many hits of each method.")
@click.option(
    "--method", "methods", type=click.Choice(METHODS), multiple=True, help="Only these methods; give it twice."
)
@_json
@_quiet
@asset_options
@click.pass_context
def compare(
    context: click.Context, text: tuple[str, ...], k: int, methods: tuple[Method, ...], as_json: bool, quiet: bool
) -> None:
    """Print the captions that each method finds for TEXT (its words are joined), with their ranks by the others."""
    explorer = Options.of(context).open_explorer()
    run_steps(explorer.prepare(), quiet)
    run_steps(explorer.open_methods(), quiet)
    _tell_problems(explorer, quiet)
    comparison = explorer.compare(" ".join(text), methods=methods or METHODS)
    if not comparison.lists:
        raise click.UsageError(
            "TEXT is a sum, which has a place in the sentence space only; quote it to make it literal"
        )
    if as_json:
        click.echo(json.dumps(_comparison_document(explorer, comparison, k)))
    else:
        for overlap in comparison.overlaps:
            click.echo(f"overlap@10  {' and '.join(overlap.methods)}: {overlap.hits}", err=True)
        for method, hits in comparison.lists.items():
            click.echo(method)
            for hit in hits[:k]:
                value = hit.distance if hit.score is None else hit.score
                ranks = ", ".join(f"{other} {rank or '-'}" for other, rank in hit.ranks.items())
                click.echo(f"{hit.rank:4}  {value:.4f}  {visible(explorer.captions.texts[hit.row])}  [{ranks}]")
    context.exit(0 if any(comparison.lists.values()) else 1)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npy file to write.")
@_quiet
@asset_options
@click.pass_context
def embed(context: click.Context, file: Path, output: Path, quiet: bool) -> None:
    """Write the embeddings of a text file's lines: raw float32, (N, D), a row a line, blank lines too.

    FILE may be - for standard input. Computed in float32 unless --dtype says otherwise.
    """
    import dataclasses

    options = Options.of(context)
    if options.dtype in (None, "auto"):
        options = dataclasses.replace(options, dtype="float32")
    explorer = options.open_explorer()

    from core.corpus.captions import read_lines
    from core.encoding.matrix import new_array
    from core.store.whole import whole_file

    lines = read_lines(file)
    run_steps(explorer.open_encoder(), quiet)
    if str(output) == "-" or not output.parent.is_dir():
        raise AssetError(output, "cannot be written", expected="a .npy file in a folder that exists")
    if output.exists() and str(file) != "-" and output.samefile(file):
        raise AssetError(output, "is the file that is read", advice="name another output")
    shape = (len(lines), explorer.encoder.dim)
    with whole_file(output, advice="check the path and the disk") as work:
        out = new_array(work, shape, "<f4")
        run_steps(explorer.embed(lines, out), quiet)
        out.flush()
    if not quiet:
        click.echo(f"{output}: {shape[0]:,} x {shape[1]:,} float32", err=True)


@cli.command()
@_json
@asset_options
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what is in use, from where, and whether it fits together. Encodes nothing, but checks a GPU."""
    from tui.doctor import examine

    document = examine(Options.of(context))
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        for name, value in _flat(document):
            click.echo(f"{name:24} {visible(str(value))}")
    context.exit(0 if document["ok"] else 2)


@cli.command()
@_json
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


@cli.group(context_settings=_CONTEXT)
@asset_options
def cache() -> None:
    """List or tidy what has been computed."""


@cache.command("list")
@_json
@asset_options
@click.pass_context
def cache_list(context: click.Context, as_json: bool) -> None:
    """List the encoded captions and converted vectors."""
    entries = [
        {"kind": e.kind, "key": e.key, "bytes": e.bytes, "whole": e.whole, "about": e.about, "path": str(e.path)}
        for e in Options.of(context).open_cache().entries()
    ]
    if as_json:
        click.echo(json.dumps(entries))
        return
    for entry in entries:
        state = "" if entry["whole"] else "unfinished  "
        size = f"{entry['bytes'] / 1e6:,.1f} MB"  # type: ignore[operator]
        click.echo(f"{entry['kind']:8} {str(entry['key'])[:12]}  {size:>12}  {state}{visible(str(entry['about']))}")


@cache.command("prune")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@asset_options
@click.pass_context
def cache_prune(context: click.Context, dry_run: bool, yes: bool) -> None:
    """Delete everything computed from other files or settings than these options name."""
    explorer = Options.of(context).open_explorer()
    run_steps(explorer.identify(), quiet=False)
    run_steps(explorer.open_captions(), quiet=False)
    keep = {explorer.vectors_folder, explorer.matrix_folder}
    doomed = [entry for entry in explorer.cache.entries() if entry.path not in keep]
    for entry in doomed:
        state = "" if entry.whole else "unfinished  "
        click.echo(f"{entry.kind:8} {entry.key[:12]}  {entry.bytes / 1e6:>10,.1f} MB  {state}{visible(entry.about)}")
    if not doomed:
        click.echo("nothing to delete")
    elif not dry_run:
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here: say --yes")
        if not yes:
            click.confirm(f"Delete these {len(doomed)}?", abort=True)
        gone = explorer.cache.prune(keep)
        click.echo(f"deleted {len(gone)}, {sum(entry.bytes for entry in gone) / 1e6:,.1f} MB")
        if len(gone) < len(doomed):
            click.echo(f"kept {len(doomed) - len(gone)}: another process is writing them", err=True)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: put `eval "$(infersent-tui completion bash)"` into its start-up file."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(made(cli, {}, "infersent-tui", "_INFERSENT_TUI_COMPLETE").source())


def _leave_at_once(code: int) -> NoReturn:
    """End the process without taking it apart, which takes a second once torch is loaded, and waits for no thread.

    Nothing is lost: the terminal is restored, and what threads write to the cache may be cut short anywhere.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def visible_lines(text: str) -> str:
    """Make text of several lines safe to print."""
    return "\n".join(visible(line) for line in text.splitlines())


def _tell_problems(explorer: Explorer, quiet: bool) -> None:
    for problem in () if quiet else explorer.problems():
        click.echo(f"note: {visible(problem)}", err=True)


def _lines() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def _hits(explorer: Explorer, answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "rank": rank,
            "distance": distance,
            "score": score,
            "closer_than": closer,
            "row": row,
            "caption": explorer.captions.texts[row],
            "image_id": explorer.captions.group(row),
        }
        for rank, (row, distance, score, closer) in enumerate(
            zip(
                answer.hits.rows.tolist(),
                [None] * len(answer.hits) if answer.hits.scores is not None else answer.hits.distances.tolist(),
                [None] * len(answer.hits) if answer.hits.scores is None else answer.hits.scores.tolist(),
                [None] * len(answer.hits) if answer.closer_than is None else answer.closer_than.round(6).tolist(),
                strict=True,
            ),
            start=1,
        )
    ]


def _value(hit: dict[str, Any]) -> float:
    """A hit's distance, or its score where the method has scores."""
    value: float = hit["distance"] if hit["score"] is None else hit["score"]
    return value


def _document(explorer: Explorer, answer: Answer) -> dict[str, Any]:
    verdict = answer.verdict
    return {
        "query": answer.text,
        "method": answer.method,
        "tokens": _tokens(answer.tokens),
        "terms": [{"weight": term.weight, "text": term.text, "tokens": _tokens(term.tokens)} for term in answer.terms],
        "verdict": verdict and asdict(verdict),
        "hits": _hits(explorer, answer),
        "timings_ms": answer.timings_ms,
        "model": explorer.model_name,
        "captions": explorer.captions_name,
    }


def _comparison_document(explorer: Explorer, comparison: Comparison, k: int) -> dict[str, Any]:
    captions = explorer.captions
    return {
        "query": comparison.query,
        "row": comparison.row,
        "methods": {
            method: [
                {"caption": captions.texts[hit.row], "image_id": captions.group(hit.row)} | asdict(hit)
                for hit in hits[:k]
            ]
            for method, hits in comparison.lists.items()
        },
        "overlaps": [asdict(overlap) for overlap in comparison.overlaps],
        "model": explorer.model_name,
        "captions": explorer.captions_name,
    }


def _tokens(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    return [{"text": token.text, "known": token.known, "importance": round(token.importance, 6)} for token in tokens]


def _print_answer(explorer: Explorer, answer: Answer, quiet: bool) -> None:
    if not quiet:
        source = f"{explorer.model_name} · {explorer.captions_name} ({len(explorer.captions):,} captions)"
        click.echo(visible(f"{answer.text}   [{source}]"), err=True)
        for term in answer.terms:
            click.echo(f"{term.weight:+g} × {visible(term.text)}", err=True)
        if answer.verdict:
            click.echo(f"{answer.verdict.level.upper()}: {'; '.join(map(visible, answer.verdict.reasons))}", err=True)
    for hit in _hits(explorer, answer):
        click.echo(f"{hit['rank']:4}  {_value(hit):.4f}  {visible(hit['caption'])}")
    if not len(answer.hits):
        click.echo("no hits", err=True)


def _flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} ")
        elif isinstance(value, list):
            for item in value or ["none"]:
                yield prefix + name, item
        else:
            yield prefix + name, value
