"""From token ids to unit rows on disk: the encoder, shared prefixes, the matrix."""
