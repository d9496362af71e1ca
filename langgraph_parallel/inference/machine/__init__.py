"""The machine of the interpreter: abstract values, variables, and what has been seen so far."""
