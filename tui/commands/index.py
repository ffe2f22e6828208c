"""The command index, which makes a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui.flags import as_json, asset_options, captions_file, quiet
from tui.options import Options
from tui.output import tell, tell_json
from tui.pace import print_message, run_steps

if TYPE_CHECKING:
    from core.cluster.schema import About


@click.command()
@captions_file
@as_json
@quiet
@asset_options
@click.pass_context
def index(context: click.Context, file: Path | None, as_json: bool, quiet: bool) -> None:
    """Write the captions with their embeddings to the store that --store names, for corpora larger than memory.

    FILE is a file of captions, as with --captions; those that are not encoded yet are encoded first. An interrupted run
    is continued. `infersent-tui --store ...` explores the store.
    """
    options = Options.of(context, file=file, makes_store=True)
    if options.store is None:
        raise click.UsageError("name the store: --store, with a folder or an address such as s3://BUCKET/PREFIX")

    corpus = options.of_captions("index")
    setup, cache = corpus.setup(), corpus.open_cache()
    setup.encoder_files()  # an error if there is none

    from core.cluster.connection import Connection
    from core.cluster.sources import open_source
    from core.cluster.writing import check_recipe, is_finished, write_store
    from core.opening import locate

    connection = Connection(options.store, must_exist=False)
    known = connection.about()
    places = run_steps(locate(setup, cache), quiet=quiet)
    print_message(places.captions.understood(), quiet=quiet)
    check_recipe(known, places.recipe, connection.address)
    if known is not None and is_finished(known, places.captions):
        about = known
    else:
        source = run_steps(open_source(setup, cache, places), quiet=quiet)  # encoding may take long
        about = run_steps(write_store(source, connection), quiet=quiet)
    if as_json:
        tell_json(asdict(about) | {"store": options.store})
        return
    before = " were written before:" if about == known else " in"
    tell(f"{about.captions:,} captions{before} {options.store}")
    tell_recall(about)


def tell_recall(about: About) -> None:
    """Say what an approximate search of a store finds."""
    for how, recall in about.recall.items():
        tell(f"approximate search ({how}) finds {recall:.1%} of the ten nearest captions")
