"""Events to instructions without I/O: the vocabulary, and rooms for what is made of it."""
