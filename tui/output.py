"""Output: prints lines and JSON without a character that could control the terminal."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import TextIO

import click

from tui.text import visible

FAULT = 70
"""Exit code of a fault of the program itself, as BSD's sysexits has it."""


def tell(line: str = "", *, err: bool = False) -> None:
    """Print a line on stdout, or on stderr. What is within it, such as a caption, cannot end it."""
    if err:
        tell_message(f"{visible(line)}\n")
    else:
        click.echo(visible(line))


def tell_message(text: str) -> None:
    """Print a text on stderr. Where it is closed or its disk is full, the work goes on without messages."""
    try:
        click.echo(text, nl=False, err=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let a stream that cannot be written take everything from now on, so that the final flush does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell_lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines."""
    for line in text.splitlines():
        tell(line, err=err)


def fault_text() -> str:
    """Describe the error that is being handled and that nobody expected, in lines: its traceback, and what to do."""
    advice = (
        "This is a fault of infersent-tui, or a computed file is damaged: infersent-tui doctor --deep tells.",
        "Finished work is kept. If no file is damaged, please report this.",
    )
    return "\n".join(map(visible, [*traceback.format_exc().splitlines(), "", *advice]))


def tell_row(*values: object) -> None:
    """Print values on stdout with tabs between."""
    click.echo("\t".join(visible(str(value)) for value in values))


def tell_json(document: object, *, indent: int | None = None) -> None:
    """Print a document as JSON on stdout; its texts stay as they are in the files, with escapes."""
    click.echo(json.dumps(document, indent=indent).replace("\x7f", "\\u007f"))
