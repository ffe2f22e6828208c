"""Commands: `infersent-tui NAME`, a module for each few that belong together."""
