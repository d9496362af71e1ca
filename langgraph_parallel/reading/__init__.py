"""A LangGraph graph as a model of our own: nodes and their effects, regions, reasons against."""
