"""Ends of calls to what each engine can take, and calls to the engine that is best for them."""
