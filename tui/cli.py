"""The command line: `infersent-tui` opens the explorer; its commands do the same work without a screen."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

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
    """The commands; another word is a captions file to explore.

    It exits with 0 when the reader of stdout closes it, as `head` does. Click would exit with 1.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of this name, else the one that explores the file of this name."""
        if self.get_command(ctx, args[0]) is None:
            if not Path(args[0]).exists():
                names = ", ".join(self.list_commands(ctx))
                ctx.fail(f"{args[0]!r} is neither a file nor a command ({names})")
            return "FILE", _explore_file, args
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands and of files."""
        return [*super().shell_complete(ctx, incomplete), CompletionItem(incomplete, type="file")]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the final flush does not fail
            return 0


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings=CONTEXT,
    subcommand_metavar="[FILE | COMMAND [ARGS]...]",
)
@click.version_option(package_name="infersent-tui")
@asset_options
@click.pass_context
def cli(context: click.Context) -> None:
    """See what InferSent's sentence embeddings capture, and where they break.

    Without a command, this opens the explorer in the terminal, on the captions in FILE, or on the bundled demo unless
    you name other files. Options can be before or after the command, or set as environment variables such as
    INFERSENT_TUI_CAPTIONS.
    """
    if context.invoked_subcommand is None:
        _explore(Options.of(context))


@click.command(add_help_option=False)
@click.argument("file", type=click.Path(path_type=Path), metavar="")  # the usage line names it before the options
@asset_options
@click.pass_context
def _explore_file(context: click.Context, file: Path) -> None:
    """Open the explorer on the captions in FILE."""
    _explore(Options.of(context, file=file))


def _explore(options: Options) -> None:
    """Open the explorer in the terminal, and exit with its code."""
    from tui.watchdog import Watchdog, is_gone

    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError, AttributeError):  # a stream may be closed, missing, or no file
            if is_gone(sys.stdin.fileno()):
                _exit_immediately(129)
        raise click.UsageError("the explorer needs a terminal; for scripts, see `infersent-tui search --help`")
    if os.environ.get("TERM") == "dumb":
        raise click.UsageError(
            "the explorer needs a terminal that can draw, and TERM is dumb; for scripts, see `search`"
        )
    if str(options.captions) == "-":
        raise click.UsageError("the explorer reads keys from standard input: put the captions into a file")
    if not os.environ.get("NO_COLOR"):
        os.environ.pop("NO_COLOR", None)  # Textual would also obey an empty one

    watchdog = Watchdog(sys.stdin.fileno())
    watchdog.start()

    from tui.app import ExplorerApp

    app = ExplorerApp(options.open_corpus, watchdog)
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
