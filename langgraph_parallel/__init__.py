"""Turn sequential LangGraph graphs into parallel ones without changing their answers."""
