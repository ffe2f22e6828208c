"""Load the encoder, encode captions and search them. Nothing in this package imports the terminal interface."""
