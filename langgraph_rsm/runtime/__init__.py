"""Calls of threads and coroutines to slots of engines: the core behind one lock, and attempts."""
