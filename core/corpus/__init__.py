"""What is explored: captions and their images, tokens, word vectors."""
