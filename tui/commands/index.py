"""The command index, which makes a store."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import click

from tui.flags import as_json, asset_options, captions_file, quiet
from tui.options import Options
from tui.output import tell, tell_json
from tui.pace import print_message, run_steps


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
    options = Options.of(context, file=file)
    if options.store is None:
        raise click.UsageError("name the store: --store, with a folder or an address such as s3://BUCKET/PREFIX")

    corpus = replace(options, store=None)
    setup = corpus.setup()
    setup.encoder_files()  # an error if there is none

    from core.cluster.connection import Connection
    from core.cluster.sources import open_source
    from core.cluster.writing import write_store

    connection = Connection(options.store, must_exist=False)
    connection.about()  # an error if that address cannot be used, before captions are encoded
    source = run_steps(open_source(setup, corpus.open_cache()), quiet=quiet)
    print_message(source.captions.understood(), quiet=quiet)
    about = run_steps(write_store(source, connection), quiet=quiet)
    if as_json:
        tell_json(asdict(about) | {"store": options.store})
        return
    tell(f"{about.captions:,} captions in {options.store}")
    for how, recall in about.recall.items():
        tell(f"approximate search ({how}) finds {recall:.1%} of the ten nearest captions")
