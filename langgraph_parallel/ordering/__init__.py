"""From effects to the earliest superstep of each node."""
