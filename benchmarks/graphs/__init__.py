"""Five public LangGraph graphs, rebuilt in shape: same nodes, edges, keys, reducers, reads, writes.

The code and the prompts are our own; README.md names the originals. Each module has `build(llm)`.
"""
