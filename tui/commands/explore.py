"""The explorer itself: its options, and opening it in the terminal."""

from __future__ import annotations

import os
import signal
import sys
import termios
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import NoReturn

import click

from core.store.ending import delete_unfinished, end_process
from tui.flags import asset_options, explorer_options
from tui.options import Options
from tui.pace import print_message
from tui.settings import Settings, config_path, read_settings, theme_problem
from tui.trail import Run, TrailWriter, default_folder, find_run


@click.command(add_help_option=False)
@click.argument("file", type=click.Path(path_type=Path), metavar="")  # the usage line names it before the options
@explorer_options
@asset_options
@click.pass_context
def explore_file(context: click.Context, file: Path) -> None:
    """Open the explorer on the captions in FILE."""
    explore(Options.of(context, file=file))


def explore(options: Options) -> None:
    """Open the explorer in the terminal, and exit with its code.

    Raises:
        AssetError: The run to resume cannot be read, or the images cannot.
        UsageError: There is no terminal, no such theme, or the captions are standard input.
    """
    from tui.watchdog import Watchdog, is_gone

    if options.theme is not None and (problem := theme_problem(options.theme)):
        raise click.UsageError(problem)
    streams = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    if missing := [name for name, stream in streams.items() if stream is None or not stream.isatty()]:
        with suppress(OSError, ValueError, AttributeError):  # a stream may be closed, missing, or no file
            if is_gone(sys.stdin.fileno()):
                _exit_immediately(128 + signal.SIGHUP)
        raise click.UsageError(
            f"the explorer needs a terminal, and {_are_none(missing)}; for scripts, see `infersent-tui search --help`"
        )
    if os.environ.get("TERM") == "dumb":
        raise click.UsageError(
            "the explorer needs a terminal that can draw, and TERM is dumb; for scripts, see `search`"
        )
    if str(options.captions) == "-":
        raise click.UsageError("the explorer reads keys from standard input: put the captions into a file")
    if not os.environ.get("NO_COLOR"):
        os.environ.pop("NO_COLOR", None)  # Textual would also obey an empty one
    resumed = None if options.resume is None else find_run(default_folder(), options.resume)
    if resumed is not None and options.captions is None:
        options = _with_files_of(resumed, options)

    settings = _settings(options)
    if settings.low_bandwidth:  # Textual reads these when it is imported
        os.environ |= {"TEXTUAL_ANIMATIONS": "none", "TEXTUAL_FPS": "10"}

    terminal = sys.stdin.fileno()
    try:
        watchdog = Watchdog(terminal)
        watchdog.start()

        from tui.app import ExplorerApp
        from tui.pastes import take_pastes_as_text

        take_pastes_as_text()
        trail = TrailWriter(None if options.no_trail else default_folder(), {"options": options.document()})
        app = ExplorerApp(options.open_corpus, watchdog, trail=trail, resumed=resumed, settings=settings)
        wanted = app.run(mouse=settings.mouse)
        trail.finish()
    except (OSError, termios.error):
        if not is_gone(terminal):
            raise
    if is_gone(terminal):
        _exit_immediately(128 + signal.SIGHUP)
    print_message(trail.problem, quiet=not trail.problem)
    if wanted is not None:
        _start_again(replace(options, theme=app.theme).reopened(wanted))
    _exit_immediately(app.return_code or 0)


def _settings(options: Options) -> Settings:
    """Return what the config file and the options say of the screen.

    Raises:
        AssetError: The folder of the images cannot be used.
    """
    settings = read_settings(config_path())
    settings = replace(
        settings,
        theme=options.theme or settings.theme,
        seed=options.seed,
        mouse=settings.mouse and not options.no_mouse,
        low_bandwidth=settings.low_bandwidth or bool(options.low_bandwidth),
        ascii=settings.ascii or bool(options.ascii),
    )
    if options.images is None:
        return settings
    from tui.pictures import Pictures, graphics_widget

    graphics = None if settings.low_bandwidth else graphics_widget()
    return replace(settings, pictures=Pictures(options.images), graphics=graphics)


def _with_files_of(run: Run, options: Options) -> Options:
    """Return the options with the captions that a run explored, how it read them, and its other files.

    Raises:
        AssetError: The captions are gone.
    """
    from core.assets import DEMO_DIR, AssetError

    kept = run.about.get("options")
    kept = kept if isinstance(kept, dict) else {}
    captions = Path(str(run.about.get("captions", "")))
    if "store" in kept or options.store is not None:  # whose opening tells if it is gone
        return options.filled(kept)
    if captions.parent == DEMO_DIR:
        return options.filled(kept)
    with suppress(OSError):  # a name that is too long for a file
        if captions.is_file():
            return options.filled(kept | {"captions": str(captions)})
    found = f"is gone; run {run.name} explored it"
    raise AssetError(captions, found, advice="name the captions to go on with: --captions FILE")


def _start_again(options: Options) -> NoReturn:
    """Start the program again in place of this one, so that nothing of the old corpus stays in memory."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    command = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv[1:])]
    options_of = {f"INFERSENT_TUI_{each.name.upper()}" for each in fields(Options)}
    environment = {name: value for name, value in os.environ.items() if name not in options_of}
    delete_unfinished()
    os.execve(sys.executable, [*command, *options.arguments()], environment)


def _exit_immediately(code: int) -> NoReturn:
    """Exit without waiting for threads; the terminal is restored already."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    end_process(code)


def _are_none(streams: list[str]) -> str:
    """Say that standard streams are no terminals: `standard input and output are none`."""
    names = " and ".join(filter(None, (", ".join(streams[:-1]), streams[-1])))
    return f"standard {names} {'is' if len(streams) == 1 else 'are'} none"
