"""The commands search and compare."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from core.assets import AssetError
from core.ranking.filters import EXAMPLES, Filter
from core.ranking.methods import AGAINST, BY_WORDS, CHOICES, METHODS, Choice, Method
from core.store.progress import Progress, finish
from tui.documents import (
    HIT_COLUMNS,
    answer_document,
    caption_document,
    comparison_document,
    hit_documents,
    print_answer,
    print_comparison,
    print_plain,
)
from tui.exports import ENDINGS, check_output, open_rows
from tui.flags import as_json, asset_options, check_second, quiet, refuse_store, refusing
from tui.options import Options
from tui.output import tell, tell_json
from tui.pace import print_message, print_notes, progress_line, run_steps

if TYPE_CHECKING:
    from core.answers import Answer
    from core.corpus.captions import Captions
    from core.explorer import Explorer
    from core.opened import Opened
    from core.opening import Need

_FILTER_HELP = f"Search only captions that meet: {EXAMPLES.replace(' · is:bookmarked', '')}."
_METHOD_HELP = "Method of ranking; `against` is the encoder of --against."
_READ_BYTES = 1 << 16
_LONGEST_LINE = 1_000_000  # bytes; the explorer asks 5,000 characters of a text
_MOST_TOGETHER = 512  # queries that are encoded together


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("-k", type=click.IntRange(1), help="Number of hits (default: 10, or all with --within).")
@click.option("--within", type=click.FloatRange(0, 2), help="All hits to this cosine distance.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the hits to this file: .csv, .jsonl, .parquet or .md.",
)
@click.option("--method", type=click.Choice(CHOICES), default="infersent", show_default=True, help=_METHOD_HELP)
@click.option("--filter", "filter_text", default="", help=_FILTER_HELP)
@as_json
@click.option("--jsonl", is_flag=True, help="Print one JSON document per query, each on one line.")
@click.option("--plain", is_flag=True, help="Print one hit per line: rank, distance or score, row, image id, caption.")
@quiet
@asset_options
@click.pass_context
def search(
    context: click.Context,
    text: tuple[str, ...],
    k: int | None,
    within: float | None,
    output: Path | None,
    method: Choice,
    filter_text: str,
    as_json: bool,
    jsonl: bool,
    plain: bool,
    quiet: bool,
) -> None:
    """Print the captions nearest to TEXT (several words are joined). With -, each line of standard input is a query.

    TEXT can be a sum: 'a dog on a beach - a dog + a horse', or with weights '2 * a dog - 0.5 * a cat'; or a feature of
    the embeddings, by its number: '#362'. The verdict uses the calibration, if there is one; `calibrate` makes it, and
    so does the explorer in the background.
    """
    options, from_stdin = Options.of(context), text == ("-",)
    _refuse_contradictions(
        method, within, [as_json, jsonl, plain, output is not None], many_json=from_stdin and as_json
    )
    if options.store is not None and method not in ("infersent", "auto"):
        raise click.UsageError(f"a store is searched by the encoder alone: leave out --method {method}")
    if output is not None:
        output = check_output(output, endings=ENDINGS, used=options.find_assets().files)
    if from_stdin and str(options.captions) == "-":
        raise click.UsageError("queries and captions cannot both come from standard input")
    among = _filter(filter_text)
    opened = _open(options, method, among, quiet=quiet)
    print_notes(opened, quiet=quiet)

    from core.explorer import Explorer

    explorer, asked, found, rows, no_texts = Explorer(opened), 0, 0, 0, 0
    _tell_size(explorer, among, quiet=quiet)
    print_one: Callable[[Opened, Answer], None] = partial(print_answer, one_of_many=from_stdin, quiet=quiet)
    if as_json or jsonl:
        print_one = _print_json
    elif plain:
        print_one = print_plain
    with ExitStack() as opened_files:
        columns = ["query_number", "query", *HIT_COLUMNS]
        write = opened_files.enter_context(open_rows(output, columns)) if output is not None else None
        hidden = quiet or not from_stdin or (write is None and sys.stdout.isatty())  # it would stand among the hits
        show = opened_files.enter_context(progress_line(quiet=hidden))
        for query in _queries(explorer, quiet=quiet) if from_stdin else [" ".join(text)]:
            show(Progress("answering", asked, 0, "queries"))
            asked += 1
            answer = _answer(explorer, query, method=method, k=k, within=within, among=among)
            found += len(answer.hits) > 0
            no_texts += not answer.query.is_text
            if no_texts == 1 and not answer.query.is_text and method not in (answer.method, "auto"):
                print_message(f"a sum or a feature has no list by {method}: ranked by {answer.method}", quiet=quiet)
            if write is not None:
                hits = hit_documents(opened.captions, answer.hits, answer.closer_than)
                write([{"query_number": asked, "query": query} | hit for hit in hits])
                rows += len(hits)
            else:
                print_one(opened, answer)
            sys.stdout.flush()
            explorer.queries.remember()
    if output is not None:
        without = f"; {asked - found:,} of {asked:,} queries have no hits" if found < asked else ""
        print_message(f"{output}: {rows:,} rows{without}", quiet=quiet)
    elif not asked:
        print_message("no queries on standard input", quiet=quiet)
    context.exit(0 if found else 1)


def _open_captions(options: Options, need: Need, among: Filter, *, quiet: bool) -> Opened:
    """Open the corpus, if the captions have what a filter asks for."""

    def check(captions: Captions) -> None:
        from core.ranking.masks import Masks

        Masks(captions).check(among.of_file())

    with refusing("--filter"):
        return run_steps(options.open_corpus(need, check=check if among.conditions else None), quiet=quiet)


def _open(options: Options, method: Choice, among: Filter, *, quiet: bool) -> Opened:
    """Open the corpus with its calibration, and what a method needs."""
    check_second(options, [method])
    opened = _open_captions(options, "calibration", among, quiet=quiet)
    if method != "infersent":
        run_steps(opened.open_methods(), quiet=quiet)
    if method == AGAINST:
        from core.opening import open_second

        run_steps(open_second(opened), quiet=quiet)
    return opened


def _print_json(opened: Opened, answer: Answer) -> None:
    tell_json(answer_document(opened, answer))


def _filter(text: str) -> Filter:
    """Parse a filter; bookmarks are of the explorer alone."""
    with refusing("--filter"):
        among = Filter.parse(text)
    if among.asks("bookmark"):
        raise click.UsageError("--filter: bookmarks are kept by the explorer, whose key for filters knows them")
    return among


def _tell_size(explorer: Explorer, among: Filter, *, quiet: bool) -> None:
    """Say how many captions meet a filter, for which their regions may have to be found."""
    if not among.conditions:
        return  # nothing is imported for it
    if among.asks("region"):
        run_steps(explorer.mapper.regions(), quiet=quiet)
    with refusing("--filter"):
        allowed = explorer.allowed(among)
    assert allowed is not None
    print_message(f"filter: {allowed.count:,} of {allowed.of:,} captions", quiet=quiet)


def _answer(
    explorer: Explorer, query: str, *, method: Choice, k: int | None, within: float | None, among: Filter
) -> Answer:
    """Answer a query with the first k hits (10 by default), or with those within a distance, of which k at most."""
    from core.ranking.ranking import LEADING

    if within is None:
        return explorer.ask(query, method=method, k=k or 10, among=among)
    return explorer.within(explorer.ask(query, method=method, k=LEADING, among=among), within, most=k)


def _queries(explorer: Explorer, *, quiet: bool) -> Iterator[str]:
    """Yield the lines of standard input as they arrive; those that arrive together are encoded together."""
    if sys.stdin.isatty():
        print_message("a query a line; ctrl+d ends", quiet=quiet)
    for lines in _lines_that_arrived(cast(BufferedIOBase, sys.stdin.buffer)):
        for start in range(0, len(lines), _MOST_TOGETHER):
            together = lines[start : start + _MOST_TOGETHER]
            if len(together) > 1:
                finish(explorer.queries.encode_ahead(together))
                explorer.opened.searcher.warm_up()
            yield from together


def _lines_that_arrived(stream: BufferedIOBase) -> Iterator[list[str]]:
    """Yield whole lines as soon as they arrive, with those that have come with them.

    Raises:
        AssetError: A line is far too long for a query.
    """
    rest = bytearray()
    while data := stream.read1(_READ_BYTES):
        *lines, begun = data.split(b"\n")
        if lines:
            lines[0] = bytes(rest) + lines[0]
            rest.clear()
            yield [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        rest += begun
        if len(rest) > _LONGEST_LINE:
            found = f"a line of it is longer than {_LONGEST_LINE / 1e6:,.0f} MB"
            raise AssetError("standard input", found, expected="a query a line", advice="check what is piped into it")
    if rest:
        yield [rest.decode("utf-8", "replace").rstrip("\r")]


def _refuse_contradictions(method: Choice, within: float | None, formats: list[bool], *, many_json: bool) -> None:
    """Raise `UsageError` where options exclude each other."""
    if sum(formats) > 1:
        raise click.UsageError("choose one of --json, --jsonl, --plain and --output")
    if within is not None and method in (*BY_WORDS, "auto"):
        raise click.UsageError(f"--within needs a method that always has distances, which {method} has not")
    if many_json:
        raise click.UsageError("many queries need --jsonl instead of --json")


@click.command()
@click.argument("text", nargs=-1)
@click.option("-k", default=10, type=click.IntRange(1), show_default=True, help="Number of hits of each method.")
@click.option(
    "--method",
    "methods",
    type=click.Choice((*METHODS, AGAINST)),
    multiple=True,
    help="Compare only this method; repeat the option for others.",
)
@click.option("--filter", "filter_text", default="", help=_FILTER_HELP)
@as_json
@quiet
@asset_options
@click.pass_context
def compare(
    context: click.Context,
    text: tuple[str, ...],
    k: int,
    methods: tuple[Method, ...],
    filter_text: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print the captions that each method finds for TEXT, with their ranks by the other methods.

    Without TEXT, and with --against, print how many of the nearest captions of a thousand captions both encoders agree
    on, and the captions on which they agree least.
    """
    options = Options.of(context)
    refuse_store(options, "a comparison of methods")
    check_second(options, methods)
    among = _filter(filter_text)
    if not text:
        if among.conditions:
            raise click.UsageError("--filter needs a TEXT: without one, all captions are compared")
        _compare_encoders(options, k, as_json=as_json, quiet=quiet)
        return
    opened = _open_captions(options, "methods", among, quiet=quiet)
    print_notes(opened, quiet=quiet)

    from core.explorer import Explorer
    from core.ranking.ranking import LEADING

    explorer = Explorer(opened)
    _tell_size(explorer, among, quiet=quiet)
    query = explorer.queries.of_text(" ".join(text))
    comparison = explorer.compare(query, methods=methods or None, k=max(k, LEADING), among=among)
    if not comparison.lists:
        why = "which only infersent can rank; put it in quotes to make it plain text"
        raise click.UsageError(f"TEXT is a sum or a feature, {why}")
    if as_json:
        tell_json(comparison_document(opened, comparison, k))
    else:
        print_comparison(opened, comparison, k)
    context.exit(0 if any(comparison.lists.values()) else 1)


def _compare_encoders(options: Options, k: int, *, as_json: bool, quiet: bool) -> None:
    """Print the captions on whose nearest captions both encoders agree least."""
    if options.against is None:
        raise click.UsageError("TEXT is missing; two encoders are compared without it: --against MODEL")

    from core.opening import open_second
    from core.ranking.graph import agree_on_nearest

    opened = run_steps(options.open_corpus(), quiet=quiet)
    run_steps(open_second(opened), quiet=quiet)
    print_notes(opened, quiet=quiet)
    assert opened.second is not None
    steps = agree_on_nearest(opened.sample.matrix, opened.second.sample.matrix, device=opened.setup.device)
    agreed = run_steps(steps, quiet=quiet)
    if not len(agreed.rows):
        found = "knows no caption that the first encoder knows"
        raise AssetError(options.against, found, advice="name the vectors of its own: --against-vectors")
    least = [
        caption_document(opened.captions, int(row)) | {"overlap_at_10": int(first), "overlap_at_100": int(leading)}
        for row, first, leading in zip(*(values[:k] for values in agreed), strict=True)
    ]
    means = {"overlap_at_10": float(agreed.first.mean()), "overlap_at_100": float(agreed.leading.mean())}
    if as_json:
        tell_json({"captions": len(agreed.rows)} | means | {"least": least}, indent=1)
        return
    one, other = opened.name_of("infersent"), opened.name_of(AGAINST)
    tell(f"{len(agreed.rows):,} of {len(opened.captions):,} captions: {one} and {other} agree on")
    tell(f"{means['overlap_at_10']:.1f} of the ten nearest, {means['overlap_at_100']:.0f} of the hundred nearest")
    tell("least, of ten and of a hundred:")
    for each in least:
        tell(f"{each['overlap_at_10']:4} {each['overlap_at_100']:4}  {each['caption']}")
