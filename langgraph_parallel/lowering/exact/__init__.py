"""Out-of-order execution with in-order commit: nodes start early, LangGraph's supersteps stay.

When the run enters a foreseeable part of the graph, nodes whose dependences are met start in the
background on the state as foreseen. When LangGraph reaches a node's own superstep, what the early
run has read is compared with the real input: if it agrees the result is handed over, else the node
runs as always. So steps, checkpoints, streams, reducer order, interrupts and failures are those of
the graph as it was written; only the barrier between supersteps is gone.

    rows -> plan                       what follows what, and who may start after whom
    session -> run -> sandbox, view    one run of the graph; one early run, its config and state
    foresight                          committed values, with early results folded on top
    node -> values, events             the check, and the events that were held back
"""
