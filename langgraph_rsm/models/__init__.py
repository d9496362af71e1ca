"""Chat models to ones of the same kind whose every call waits for a slot."""
