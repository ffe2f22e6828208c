"""The bundled demo: encoder, word vectors and captions, as package data."""
