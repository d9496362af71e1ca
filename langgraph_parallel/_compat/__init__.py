"""The only place that touches what LangGraph does not document: one module for each thing."""
