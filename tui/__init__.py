"""The terminal screen and the command line; core computes what they show."""
