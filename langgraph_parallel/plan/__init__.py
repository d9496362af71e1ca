"""From a sequential plan to a dependency graph, and from there to results.

task, references, reading    what a plan says
dependencies, explicit, …    which tasks need which
plan, report                 the dependency graph
dispatch, run, executor      carrying it out
node                         as a node of a LangGraph graph
"""
