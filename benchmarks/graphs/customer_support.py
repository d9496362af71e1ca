"""A query gets a category and a sentiment; a router that reads both picks who answers.

Shape of `customer_support_agent_langgraph.ipynb` in NirDiamant/GenAI_Agents.

    categorize -> analyze_sentiment -?-> handle_technical, handle_billing, handle_general, escalate
"""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.prompts import ChatPromptTemplate
from langgraph.graph import END, StateGraph
from typing_extensions import TypedDict

GIVEN = {"query": "The invoice of May lists two routers; I have only one. Who can correct it?"}
HANDLERS = ("handle_technical", "handle_billing", "handle_general", "escalate")


class State(TypedDict):
    """One query on its way through the desk."""

    query: str
    category: str
    sentiment: str
    response: str


def build(llm: BaseChatModel) -> StateGraph[State, Any, Any, Any]:  # noqa: C901 - one per node
    def categorize(state: State) -> State:
        prompt = ChatPromptTemplate.from_template("Technical, Billing or General? {query}")
        chain = prompt | llm
        category = chain.invoke({"query": state["query"]}).content
        return {"category": category}

    def analyze_sentiment(state: State) -> State:
        prompt = ChatPromptTemplate.from_template("Positive, Neutral or Negative? {query}")
        chain = prompt | llm
        sentiment = chain.invoke({"query": state["query"]}).content
        return {"sentiment": sentiment}

    def handle_technical(state: State) -> State:
        prompt = ChatPromptTemplate.from_template("Answer as a technician: {query}")
        chain = prompt | llm
        response = chain.invoke({"query": state["query"]}).content
        return {"response": response}

    def handle_billing(state: State) -> State:
        prompt = ChatPromptTemplate.from_template("Answer as an accountant: {query}")
        chain = prompt | llm
        response = chain.invoke({"query": state["query"]}).content
        return {"response": response}

    def handle_general(state: State) -> State:
        prompt = ChatPromptTemplate.from_template("Answer as the front desk: {query}")
        chain = prompt | llm
        response = chain.invoke({"query": state["query"]}).content
        return {"response": response}

    def escalate(state: State) -> State:  # noqa: ARG001
        return {"response": "A colleague will call you back."}

    def route_query(state: State) -> str:
        if state["sentiment"] == "Negative":
            return "escalate"
        elif state["category"] == "Technical":
            return "handle_technical"
        elif state["category"] == "Billing":
            return "handle_billing"
        else:
            return "handle_general"

    graph = StateGraph(State)
    graph.add_node("categorize", categorize)
    graph.add_node("analyze_sentiment", analyze_sentiment)
    graph.add_node("handle_technical", handle_technical)
    graph.add_node("handle_billing", handle_billing)
    graph.add_node("handle_general", handle_general)
    graph.add_node("escalate", escalate)
    graph.add_edge("categorize", "analyze_sentiment")
    graph.add_conditional_edges("analyze_sentiment", route_query, {name: name for name in HANDLERS})
    for name in HANDLERS:
        graph.add_edge(name, END)
    graph.set_entry_point("categorize")
    return graph
