"""The only place that touches what LangGraph does not document: one module for each thing.

Each name is probed, then degrades: what cannot be found makes a node opaque (and so ordered), never
an error.
"""
