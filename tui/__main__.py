"""Run the command line: `python -m tui` is the same as `infersent-tui`."""

from tui.cli import main

main()
