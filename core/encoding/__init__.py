"""Texts to unit rows: the encoder, shared prefixes, the matrix on disk."""
