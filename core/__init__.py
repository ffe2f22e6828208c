"""From files to answers: load the encoder, encode captions, search them. Knows nothing of the screen."""
