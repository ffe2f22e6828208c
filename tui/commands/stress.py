"""The command stress: which changes of a text the encoder does not see."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from core.ranking.methods import AGAINST, Method
from tui.flags import as_json, asset_options, check_second, quiet
from tui.options import Options
from tui.output import tell, tell_json
from tui.pace import print_message, print_notes, run_steps
from tui.text import fit, short_number

if TYPE_CHECKING:
    from core.opened import Opened
    from core.trust.stress import Stressed, Threshold

_KIND_CELLS, _METHOD_CELLS = 21, 18


@click.command()
@click.argument("text", nargs=-1)
@click.option(
    "--method",
    type=click.Choice(("infersent", AGAINST)),
    default="infersent",
    show_default=True,
    help="The encoder that is asked TEXT.",
)
@as_json
@quiet
@asset_options
@click.pass_context
def stress(context: click.Context, text: tuple[str, ...], method: Method, as_json: bool, quiet: bool) -> None:
    """Print how far changes of TEXT move it in the embedding space (several words are joined).

    The changes are of harmless kinds, of order, of meaning, and omissions. One is unseen if it moves TEXT no farther
    than 95 of 100 other articles and contractions move captions. Rules for English make them, where these surely fit.
    Without TEXT, 300 captions are changed, and the figures of each kind are printed, by every method.
    """
    from core.opening import open_second
    from core.ranking.arithmetic import feature_of, parse, unquoted
    from core.trust.variations import MOST_WORDS

    options, query = Options.of(context), " ".join(text)
    if text and not query.strip():
        raise click.UsageError("TEXT is empty")
    if parse(query) or feature_of(query) is not None:
        what = "TEXT is a sum or a feature, which have no variations; put it in quotes to make it plain text"
        raise click.UsageError(what)
    if len(query.split()) > MOST_WORDS:
        raise click.UsageError(f"TEXT has more than {MOST_WORDS} words: give a sentence")
    check_second(options, [method])
    setup = options.setup()
    (setup.second or setup if method == AGAINST else setup).encoder_files()  # an error if there is none
    opened = run_steps(options.open_corpus("matrix" if text else "methods"), quiet=quiet)
    if method == AGAINST:
        run_steps(open_second(opened), quiet=quiet)
    print_notes(opened, quiet=quiet)
    if text:
        _stress_text(context, opened, unquoted(query), method, as_json=as_json, quiet=quiet)
    else:
        _stress_corpus(opened, as_json=as_json, quiet=quiet)


def _stress_text(
    context: click.Context, opened: Opened, query: str, method: Method, *, as_json: bool, quiet: bool
) -> None:
    from core.explorer import Explorer
    from tui.variation_line import few_kinds

    if len(opened.encoder_of(method).text_encoder.vocabulary.look_up(query).ids) <= 2:
        print_message("no word of TEXT is known, so nothing can move it", quiet=quiet)
        context.exit(1)
    stressed = run_steps(Explorer(opened).stress(query, method=method), quiet=quiet)
    if as_json:
        tell_json(_document(stressed))
    else:
        _print(stressed, opened.name_of(method))
    if few := few_kinds(stressed):
        print_message(few, quiet=quiet)


def _stress_corpus(opened: Opened, *, as_json: bool, quiet: bool) -> None:
    from core.trust.stress import stress_corpus

    rankers = run_steps(opened.open_methods(), quiet=quiet)
    texts, device = opened.sample.captions.texts, opened.setup.device
    steps = stress_corpus(opened.sample.matrix, texts, rankers, opened.text_encoder, device=device)
    table = run_steps(steps, quiet=quiet)
    if as_json:
        kinds = {
            kind: {"applies": count} | {method: asdict(each) for method, each in table.figures.get(kind, {}).items()}
            for kind, count in table.applies.items()
        }
        distance = _distance(table.thresholds["infersent"])
        tell_json({"captions": table.captions, "threshold": distance, "kinds": kinds}, indent=1)
        return
    tell(f"{table.captions:,} captions; of each kind: share unseen, median distance, hits kept of 10")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    together = max(1, (width - _KIND_CELLS) // _METHOD_CELLS)
    for start in range(0, len(opened.methods), together):
        methods = opened.methods[start : start + together]
        tell(f"{'':12} captions" + "".join(f"  {fit(opened.name_of(method), 16)}" for method in methods).rstrip())
        for kind, by_method in table.figures.items():
            figures = [by_method[method] for method in methods]
            cells = [
                f"  {_share(each.unseen):>5} {_number(each.median_distance):>5} {each.overlap_at_10:4.1f}"
                for each in figures
            ]
            tell(f"{kind:12}{table.applies[kind]:9}{''.join(cells)}")


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _number(distance: float | None) -> str:
    return "" if distance is None else short_number(distance)


def _distance(threshold: Threshold | None) -> float | None:
    return None if threshold is None else threshold.distance


def _document(stressed: Stressed) -> dict[str, Any]:
    return {
        "query": stressed.text,
        "threshold": _distance(stressed.threshold),
        "variations": [
            {
                "kind": each.variation.kind,
                "text": each.variation.text,
                "distance": each.distance,
                "unseen": each.unseen,
                "overlap_at_10": each.overlap,
            }
            for each in stressed.moved
        ],
    }


def _print(stressed: Stressed, encoder: str) -> None:
    from tui.variation_line import claim, variation_line

    tell(f"{stressed.text}   [by {encoder}]")
    tell(claim(stressed.threshold))
    tell("kind        distance          kept, of the first ten hits")
    for moved in stressed.moved:
        tell(variation_line(moved, stressed).plain)
