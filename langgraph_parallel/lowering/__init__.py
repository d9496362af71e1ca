"""Ways to turn a dependence order back into what LangGraph runs.

fanout, rewrite, builder   ordinary edges, in another order
guard, threads             uses that need the original order
exact                      early starts, committed in order
inside                     sub-graphs
plan_node                  a plan as a node
"""
