"""`python -m tui` is `infersent-tui`."""

from tui.cli import main

main()
