"""The terminal screen and the command line; what they show is computed in core."""
