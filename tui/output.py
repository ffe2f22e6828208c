"""Output: prints lines and JSON without a character that could control the terminal."""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO

import click

from tui.text import visible


def tell(line: str = "", *, err: bool = False) -> None:
    """Print a line on stdout, or on stderr. What is within it, such as a caption, cannot end it."""
    if err:
        tell_message(f"{visible(line)}\n")
    else:
        click.echo(visible(line))


def tell_message(text: str) -> None:
    """Print a text on stderr. Where its reader has closed it, the work goes on without messages."""
    try:
        click.echo(text, nl=False, err=True)
    except BrokenPipeError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let a stream that its reader has closed take everything from now on, so that the final flush does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
