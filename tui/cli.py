"""The command line: `infersent-tui` opens the explorer; its commands do the same work without a screen."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from core.assets import AssetError
from tui.commands.corpus import calibrate, embed, encode
from tui.commands.files import cache, completion, doctor, paths
from tui.commands.search import compare, search
from tui.options import CONTEXT, Options, asset_options
from tui.text import visible


def main() -> None:
    """Run the command line. Exit codes: 0 ok, 1 nothing found, 2 wrong usage or bad input, 130 interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for characters that the locale cannot encode
    try:
        code = cli.main(standalone_mode=False, prog_name="infersent-tui")
    except click.ClickException as error:
        error.show()
        code = 2
    except AssetError as error:
        message = "\n".join(map(visible, str(error).splitlines()))
        click.echo(f"infersent-tui: {message}", err=True)
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; finished work is kept", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


class _Commands(click.Group):
    """A group that exits with 0 when the reader of stdout closes it, as `head` does. Click would exit with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the final flush does not fail
            return 0


@click.group(cls=_Commands, invoke_without_command=True, context_settings=CONTEXT)
@click.version_option(package_name="infersent-tui")
@asset_options
@click.pass_context
def cli(context: click.Context) -> None:
    """See what InferSent's sentence embeddings capture, and where they break.

    Without a command, this opens the explorer in the terminal, on the bundled demo unless you name other files.
    Options can be before or after the command, or set as environment variables such as INFERSENT_TUI_CAPTIONS.
    """
    if context.invoked_subcommand is not None:
        return
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError("the explorer needs a terminal; for scripts, see `infersent-tui search --help`")
    options = Options.of(context)
    if str(options.captions) == "-":
        raise click.UsageError("the explorer reads keys from standard input: put the captions into a file")
    if not os.environ.get("NO_COLOR"):
        os.environ.pop("NO_COLOR", None)  # Textual would also obey an empty one

    from tui.app import ExplorerApp

    app = ExplorerApp(options.open_corpus)
    app.run()
    _exit_immediately(app.return_code or 0)


for _command in (encode, search, calibrate, compare, embed, doctor, paths, cache, completion):
    cli.add_command(_command)


def _exit_immediately(code: int) -> NoReturn:
    """Exit without the interpreter's shutdown, which takes a second with torch and waits for threads.

    No data is lost: the terminal is restored already, and an interrupted write to the cache is never used as complete.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
