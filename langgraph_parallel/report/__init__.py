"""A `ParallelReport` in the forms people and programs read: text, terminal, HTML, JSON, blockers.

Every form is a pure function of the report. Names and reasons come from users' code and are treated
as plain text wherever a form has a markup of its own.
"""
