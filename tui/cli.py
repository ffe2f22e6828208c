"""The command line: `infersent-tui` opens the explorer; its commands do the same work without a screen."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from core.assets import AssetError
from tui.commands.corpus import calibrate, embed, export, regions
from tui.commands.encode import encode
from tui.commands.explore import explore, explore_file
from tui.commands.fetch import fetch
from tui.commands.files import cache, completion, doctor, paths
from tui.commands.index import index
from tui.commands.search import compare, search
from tui.commands.stress import stress
from tui.commands.trail import trail
from tui.flags import CONTEXT, asset_options, explorer_options
from tui.interruption import exit_code, is_interrupted
from tui.options import Options
from tui.output import discard, tell, tell_lines

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # without a file, these are of stdout


def main() -> None:
    """Run the command line.

    Exit codes: 0 ok, 1 nothing found, 2 wrong usage or bad input, 70 a fault of the program, 130 interrupted by
    SIGINT (Ctrl-C), 143 by SIGTERM, 129 by SIGHUP.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for characters that the locale cannot encode
    try:
        code = cli.main(standalone_mode=False, prog_name="infersent-tui")
    except click.ClickException as error:
        message = io.StringIO()
        error.show(message)
        tell_lines(message.getvalue(), err=True)
        if isinstance(error, click.NoSuchOption) and error.ctx is not None and error.ctx.command in (search, compare):
            name = error.ctx.command.name
            tell(f"A text that begins with a dash goes behind two: infersent-tui {name} -- '- dog'", err=True)
        code = 2
    except AssetError as error:
        tell_lines(f"infersent-tui: {error}", err=True)
        code = 2
    except OSError as error:  # of a path that is too long or in a folder that may not be searched, or of a full stdout
        if is_interrupted() or (error.filename is None and error.errno not in _FULL):  # what runs out, `run` tells
            raise
        if error.filename is None:
            discard(sys.stdout)
        tell_lines(f"infersent-tui: {AssetError.from_os_error(error.filename or 'stdout', error)}", err=True)
        code = 2
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted; finished work is kept", err=True)
        code = exit_code()
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
            return "FILE", explore_file, args
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands and of files."""
        return [*super().shell_complete(ctx, incomplete), CompletionItem(incomplete, type="file")]

    def make_context(self, *args: Any, **how: Any) -> click.Context:
        """Parse the arguments; `--help` and `--version` print here."""
        with _ending_when_stdout_closes():
            return super().make_context(*args, **how)

    def invoke(self, ctx: click.Context) -> Any:
        with _ending_when_stdout_closes():
            return super().invoke(ctx)


@contextmanager
def _ending_when_stdout_closes() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        discard(sys.stdout)
        raise click.exceptions.Exit(0) from None


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings=CONTEXT,
    subcommand_metavar="[FILE | COMMAND [ARGS]...]",
)
@click.version_option(package_name="infersent-tui")
@explorer_options
@asset_options
@click.pass_context
def cli(context: click.Context) -> None:
    """See what InferSent's sentence embeddings capture, and where they break.

    Without a command, this opens the explorer in the terminal, on the captions in FILE, or on the bundled demo unless
    you name other files. Options can be before or after the command, or set as environment variables such as
    INFERSENT_TUI_CAPTIONS. Exit codes: 0 ok, 1 nothing found, 2 wrong usage or bad input, 70 a fault of the program,
    130 interrupted by Ctrl-C (SIGINT), 143 by SIGTERM, 129 by SIGHUP or a terminal that went away.
    """
    if context.invoked_subcommand is None:
        explore(Options.of(context))


for _command in (
    encode,
    index,
    search,
    compare,
    stress,
    calibrate,
    regions,
    embed,
    export,
    doctor,
    fetch,
    paths,
    cache,
    trail,
    completion,
):
    cli.add_command(_command)
