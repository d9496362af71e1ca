"""From a LangGraph graph to a model of our own, and from there to what may be reordered in it.

graph, model                       the builder, read once
nodes, subgraphs                   its functions, and their effects by `inference`
regions, concurrency, refusals     straight runs, and reasons to leave things alone
request, targets                   what a user asks for, by call or on the command line
trace, probe, twins, views, runs   what runs of a graph show
"""
