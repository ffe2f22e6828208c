"""The command stress: which changes of a text the encoder does not see."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from core.ranking.methods import METHODS
from tui.options import Options, as_json, asset_options, quiet
from tui.pace import print_message, print_notes, run_steps
from tui.text import bar, short_number, visible

if TYPE_CHECKING:
    from core.opening import Opened
    from core.trust.stress import Moved, Threshold

_BAR_CELLS = 12
_FEW_KINDS = 8
_MOST_WORDS = 200


@click.command()
@click.argument("text", nargs=-1)
@as_json
@quiet
@asset_options
@click.pass_context
def stress(context: click.Context, text: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Print how far changes of TEXT move it in the embedding space (several words are joined).

    The changes are of harmless kinds, of order, of meaning, and omissions. One is unseen if it moves TEXT no farther
    than 95 of 100 other articles and contractions move captions. Rules for English make them, where these surely fit.
    Without TEXT, 300 captions are changed, and the figures of each kind are printed, by every method.
    """
    from core.ranking.arithmetic import parse, unquoted

    options, query = Options.of(context), " ".join(text)
    if parse(query):
        raise click.UsageError("TEXT is a sum, which has no variations; put it in quotes to make it plain text")
    if len(query.split()) > _MOST_WORDS:
        raise click.UsageError(f"TEXT has more than {_MOST_WORDS} words: give a sentence")
    options.setup().encoder_files()  # an error if there is none
    opened = run_steps(options.open_corpus("matrix" if text else "methods"), quiet=quiet)
    print_notes(opened, quiet=quiet)
    if text:
        _stress_text(context, opened, unquoted(query), as_json=as_json, quiet=quiet)
    else:
        _stress_corpus(opened, as_json=as_json, quiet=quiet)


def _stress_text(context: click.Context, opened: Opened, query: str, *, as_json: bool, quiet: bool) -> None:
    from core.trust.stress import measure_threshold
    from core.trust.stress import stress as move

    matrix, text_encoder = opened.matrix, opened.text_encoder
    if len(text_encoder.vocabulary.look_up(query).ids) <= 2:
        print_message("no word of TEXT is known, so nothing can move it", quiet=quiet)
        context.exit(1)
    threshold = run_steps(measure_threshold(matrix, opened.captions.texts, text_encoder), quiet=quiet)
    steps = move(
        query, sentences=matrix.sentences, searcher=opened.searcher, text_encoder=text_encoder, threshold=threshold
    )
    moved = run_steps(steps, quiet=quiet)
    if as_json:
        click.echo(json.dumps(_document(query, threshold, moved)))
    else:
        _print(query, threshold, moved)
    kinds = {each.variation.kind for each in moved}
    if len(kinds) < _FEW_KINDS:
        print_message(f"only {len(kinds)} kinds of changes fit this text: a longer sentence has more", quiet=quiet)


def _stress_corpus(opened: Opened, *, as_json: bool, quiet: bool) -> None:
    from core.trust.stress import stress_corpus

    rankers = run_steps(opened.open_methods(), quiet=quiet)
    texts, device = opened.captions.texts, opened.setup.device
    steps = stress_corpus(opened.matrix, texts, rankers, opened.text_encoder, device=device)
    table = run_steps(steps, quiet=quiet)
    if as_json:
        kinds = {
            kind: {"applies": count} | {method: asdict(each) for method, each in table.figures.get(kind, {}).items()}
            for kind, count in table.applies.items()
        }
        click.echo(json.dumps({"captions": table.captions, "threshold": table.threshold, "kinds": kinds}, indent=1))
        return
    click.echo(f"{table.captions:,} captions; of each kind: share unseen, median distance, hits kept of 10")
    click.echo(f"{'':12} captions" + "".join(f"  {opened.name_of(method):^16}" for method in METHODS))
    for kind, by_method in table.figures.items():
        cells = [
            f"  {_share(each.unseen):>5} {_number(each.median_distance):>5} {each.overlap_at_10:4.1f}"
            for each in by_method.values()
        ]
        click.echo(f"{kind:12}{table.applies[kind]:9}{''.join(cells)}")


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _number(distance: float | None) -> str:
    return "" if distance is None else short_number(distance)


def _document(query: str, threshold: Threshold | None, moved: list[Moved]) -> dict[str, Any]:
    return {
        "query": query,
        "threshold": None if threshold is None else threshold.distance,
        "variations": [
            {
                "kind": each.variation.kind,
                "text": each.variation.text,
                "distance": each.distance,
                "unseen": each.unseen,
                "overlap_at_10": each.overlap,
            }
            for each in moved
        ],
    }


def _print(query: str, threshold: Threshold | None, moved: list[Moved]) -> None:
    click.echo(visible(query))
    if threshold is None:
        click.echo("these captions allow too few harmless changes, so none of these is called unseen")
    elif not threshold.holds:
        click.echo(f"only {threshold.control:.0%} of other nouns are seen, so no change is called unseen")
    else:
        reach = short_number(threshold.distance)
        click.echo(f"unseen: within {reach}, as 95 of 100 other articles and contractions in captions are")
    farthest = max((each.distance for each in moved if each.distance is not None), default=0.0) or 1.0
    click.echo(f"{'':24}{'':{_BAR_CELLS}}         hits kept of 10")
    for each in moved:
        if each.distance is None:
            click.echo(visible(f"{each.variation.kind:12} {'no known word':37}  {_marked(each)}"))
            continue
        seen = {True: "unseen", False: "", None: ""}[each.unseen]
        line = f"{each.variation.kind:12}{short_number(each.distance):>5} {bar(each.distance / farthest, _BAR_CELLS)}"
        click.echo(visible(f"{line} {seen:6} {each.overlap:3}  {_marked(each)}"))


def _marked(moved: Moved) -> str:
    """Return the text of a variation with what was edited in brackets."""
    text, pieces, at = moved.variation.text, list[str](), 0
    for start, end in moved.variation.edits:
        pieces += [text[at:start], f"[{text[start:end]}]"]
        at = end
    return "".join([*pieces, text[at:]])
