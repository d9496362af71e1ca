"""A text is classified, its names are listed, it is summed up: three nodes that read `text` only.

Shape of `langgraph-tutorial.ipynb` in NirDiamant/GenAI_Agents.
"""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.prompts import PromptTemplate
from langgraph.graph import END, StateGraph
from typing_extensions import TypedDict

GIVEN = {"text": "The harbor of Rotterdam opened a second terminal for grain on Monday."}


class State(TypedDict):
    """One text and what is found in it."""

    text: str
    classification: str
    entities: list[str]
    summary: str


def build(llm: BaseChatModel) -> StateGraph[State, Any, Any, Any]:
    def classification_node(state: State) -> dict:
        prompt = PromptTemplate(
            input_variables=["text"], template="Name the kind of this text in one word: {text}"
        )
        message = HumanMessage(content=prompt.format(text=state["text"]))
        classification = llm.invoke([message]).content.strip()
        return {"classification": classification}

    def entity_extraction_node(state: State) -> dict:
        prompt = PromptTemplate(
            input_variables=["text"], template="List the names in this text, with commas: {text}"
        )
        message = HumanMessage(content=prompt.format(text=state["text"]))
        entities = llm.invoke([message]).content.strip().split(", ")
        return {"entities": entities}

    def summarization_node(state: State) -> dict:
        prompt = PromptTemplate(
            input_variables=["text"], template="Say this text in one short sentence: {text}"
        )
        message = HumanMessage(content=prompt.format(text=state["text"]))
        summary = llm.invoke([message]).content.strip()
        return {"summary": summary}

    graph = StateGraph(State)
    graph.add_node("classification_node", classification_node)
    graph.add_node("entity_extraction", entity_extraction_node)
    graph.add_node("summarization", summarization_node)
    graph.set_entry_point("classification_node")
    graph.add_edge("classification_node", "entity_extraction")
    graph.add_edge("entity_extraction", "summarization")
    graph.add_edge("summarization", END)
    return graph
