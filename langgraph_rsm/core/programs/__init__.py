"""Calls to what each program has been given, and what programs of its graph have cost before."""
