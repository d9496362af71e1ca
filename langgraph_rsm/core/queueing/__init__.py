"""Waiting calls to the one whose turn it is, fair among tenants."""
