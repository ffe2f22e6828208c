"""The command line: `infersent-tui` opens the screen, its commands do the same work without one."""

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
    """Run the command line; exit 0 ok, 1 nothing found, 2 usage or bad input, 130 interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # captions and paths may hold what the locale cannot write
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
        click.echo("interrupted; what is finished is kept", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


class _Commands(click.Group):
    """Ends well when the reader of stdout has gone, as `head` does; click itself would exit with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
            return 0


@click.group(cls=_Commands, invoke_without_command=True, context_settings=CONTEXT)
@click.version_option(package_name="infersent-tui")
@asset_options
@click.pass_context
def cli(context: click.Context) -> None:
    """See what InferSent's sentence embeddings capture, and where they break.

    Without a command: opens the explorer in this terminal, on the bundled demo unless other files are named.
    Each option may stand before or after the command, and be given as a variable, INFERSENT_TUI_CAPTIONS and so on.
    """
    if context.invoked_subcommand is not None:
        return
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError("the explorer needs a terminal; see `infersent-tui search --help` for scripts")
    options = Options.of(context)
    if str(options.captions) == "-":
        raise click.UsageError("the explorer reads its keys from standard input: put the captions into a file")
    if not os.environ.get("NO_COLOR"):
        os.environ.pop("NO_COLOR", None)  # Textual would take an empty one for a yes

    from tui.app import ExplorerApp

    app = ExplorerApp(options.open_corpus)
    app.run()
    _leave_at_once(app.return_code or 0)


for _command in (encode, search, calibrate, compare, embed, doctor, paths, cache, completion):
    cli.add_command(_command)


def _leave_at_once(code: int) -> NoReturn:
    """End the process without taking it apart, which takes a second once torch is loaded, and waits for no thread.

    Nothing is lost: the terminal is restored, and what threads write to the cache may be cut short anywhere.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
