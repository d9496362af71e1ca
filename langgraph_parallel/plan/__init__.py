"""From a sequential plan to a dependency graph, and from there to results.

task, references, reading    what a plan says
dependencies, explicit, …    which tasks need which
graph, report, plan          the dependency graph
dispatch, run, executor      carrying it out
"""
