"""From a sequential plan to a dependency graph, and from there to results."""
