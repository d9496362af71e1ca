"""What was done and why, in the forms people and programs read.

region, costs, model           the facts, counted
obstacles, blockers            what would help
text, html, terminal, export   the forms
report                         all of it: the `ParallelReport`

Every form is a pure function of the report. Names and reasons come from users' code and are treated
as plain text wherever a form has a markup of its own.
"""
