"""The command stress: which changes of a text the encoder does not see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tui.options import Options, as_json, asset_options, quiet
from tui.pace import print_message, print_notes, run_steps
from tui.text import bar, short_number, visible

if TYPE_CHECKING:
    from core.trust.stress import Moved, Threshold

_BAR_CELLS = 12
_FEW_KINDS = 8


@click.command()
@click.argument("text", nargs=-1, required=True)
@as_json
@quiet
@asset_options
@click.pass_context
def stress(context: click.Context, text: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Print how far changes of TEXT move it in the embedding space (several words are joined).

    The changes are of harmless kinds, of order, of meaning, and omissions. One is unseen if it moves TEXT no farther
    than harmless changes move the captions. They are made by rules for English captions, where these surely fit.
    """
    from core.ranking.arithmetic import parse, unquoted

    options, query = Options.of(context), " ".join(text)
    if parse(query):
        raise click.UsageError("TEXT is a sum, which has no variations; put it in quotes to make it plain text")
    query = unquoted(query)
    options.setup().encoder_files()  # an error if there is none
    opened = run_steps(options.open_corpus(), quiet=quiet)
    print_notes(opened, quiet=quiet)

    from core.trust.stress import measure_threshold
    from core.trust.stress import stress as move

    if len(opened.text_encoder.vocabulary.look_up(query).ids) <= 2:
        print_message("no word of TEXT is known, so nothing can move it", quiet=quiet)
        context.exit(1)
    matrix, text_encoder = opened.matrix, opened.text_encoder
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
        click.echo(f"unseen: within {short_number(threshold.distance)}, as 95 of 100 harmless changes of captions")
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
