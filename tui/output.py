"""Output: prints lines and JSON without a character that could control the terminal."""

from __future__ import annotations

import json

import click

from tui.text import visible


def tell(line: str = "", *, err: bool = False) -> None:
    """Print a line on stdout, or on stderr. What is within it, such as a caption, cannot end it."""
    click.echo(visible(line), err=err)


def tell_lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines."""
    for line in text.splitlines():
        tell(line, err=err)


def tell_row(*values: object) -> None:
    """Print values on stdout with tabs between."""
    click.echo("\t".join(visible(str(value)) for value in values))


def tell_json(document: object, *, indent: int | None = None) -> None:
    """Print a document as JSON on stdout; its texts stay as they are in the files, with escapes."""
    click.echo(json.dumps(document, indent=indent).replace("\x7f", "\\u007f"))
