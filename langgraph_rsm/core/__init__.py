"""The scheduler without I/O: a vocabulary here, and in rooms of their own what is made of it."""
