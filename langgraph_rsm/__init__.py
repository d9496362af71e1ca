"""Schedule the model calls of many LangGraph runs by the program that each call belongs to."""
