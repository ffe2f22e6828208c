"""`python -m benchmarks NAME [--json]`, or `all`."""

from __future__ import annotations

import importlib
import json
import sys

import click

from benchmarks.measure import machine, plain

NAMES = ("encode", "search", "live", "vectors", "start", "memory", "scale", "methods")


@click.command()
@click.argument("name", type=click.Choice([*NAMES, "all"]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--quick", is_flag=True, help="Less work and fewer rounds: to see that it runs.")
def main(name: str, as_json: bool, quick: bool) -> None:
    """Measure, beside the alternatives, in the same minutes."""
    documents = {}
    for each in NAMES if name == "all" else (name,):
        click.echo(f"measuring {each} ...", err=True)
        documents[each] = plain(importlib.import_module(f"benchmarks.{each}").run(quick=quick)) | {"machine": machine()}
    if as_json:
        click.echo(json.dumps(documents[name] if name != "all" else documents, indent=1))
        return
    for each, document in documents.items():
        click.echo(f"{each}: {document.pop('question')}")
        for key, value in document.items():
            click.echo(f"  {key}: {json.dumps(value)}")


if __name__ == "__main__":
    sys.exit(main())
