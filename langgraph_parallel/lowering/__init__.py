"""Ways to turn a dependence order back into a graph that LangGraph runs."""
