"""The corpus: captions, their images and tokens; and the word vectors."""
