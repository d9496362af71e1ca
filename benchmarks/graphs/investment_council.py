"""Three analysts overwrite one key, a risk manager writes another, a chairperson decides.

Shape of `graph/workflow.py` in claudio-2929/Olympus: `analyst_reports` has no reducer, so only the
last analyst's report is seen, and that is the answer to keep.
"""

import operator
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.graph import END, StateGraph
from typing_extensions import TypedDict

from benchmarks.graphs.vendor import company_figures, price_history, search_web
from langgraph_parallel import Effects

GIVEN = {"ticker": "HRBR", "prime_directive": "Own no debt.", "messages": [], "analyst_reports": {}}
MACRO = "You study economies as a whole, not single companies."
FUNDAMENTAL = "You study the books of a company."
TECHNICAL = "You study prices and their trend."
RISK = "You look for what may go wrong. The rule of the house: {prime_directive}"
CHAIR = "You decide on the reports before you. The rule of the house: {prime_directive}"
DECLARED = {
    "macro_analyst": Effects(
        reads={"ticker"}, writes={"analyst_reports"}, external={"model", "read"}
    ),
    "fundamental_analyst": Effects(
        reads={"ticker"}, writes={"analyst_reports"}, external={"model", "read"}
    ),
    "technical_analyst": Effects(
        reads={"ticker"}, writes={"analyst_reports"}, external={"model", "read"}
    ),
    "risk_manager": Effects(
        reads={"ticker", "prime_directive"}, writes={"risk_report"}, external={"model", "read"}
    ),
}
"""What the author knows and the code does not show: the vendors' clients only read."""


class AgentState(TypedDict):
    """What the council knows."""

    messages: Annotated[list[dict], operator.add]
    ticker: str
    prime_directive: str
    analyst_reports: dict[str, str]
    risk_report: str
    final_decision: str


@tool
def web_search(query: str) -> str:
    """Search the web."""
    return search_web(query)


def build(llm: BaseChatModel) -> StateGraph[AgentState, Any, Any, Any]:
    def macro_analyst_node(state: AgentState) -> dict:
        ticker = state["ticker"]
        messages = [
            SystemMessage(content=MACRO),
            HumanMessage(content=f"What moves the sector of {ticker}?"),
        ]
        analyst_with_tools = llm.bind_tools([web_search])
        response = analyst_with_tools.invoke(messages)
        news = search_web(f"economic news on the sector of {ticker}")
        analysis_msg = [
            SystemMessage(content=MACRO),
            HumanMessage(content=f"The news:\n{news}\n\nWhat follows for {ticker}?"),
        ]
        response = llm.invoke(analysis_msg)
        return {"analyst_reports": {"Macro Analyst": response.content}}

    def fundamental_analyst_node(state: AgentState) -> dict:
        ticker = state["ticker"]
        figures = company_figures(ticker)
        messages = [
            SystemMessage(content=FUNDAMENTAL),
            HumanMessage(content=f"The books of {ticker}:\n{figures}\n\nHow sound is it?"),
        ]
        response = llm.invoke(messages)
        return {"analyst_reports": {"Fundamental Analyst": response.content}}

    def technical_analyst_node(state: AgentState) -> dict:
        ticker = state["ticker"]
        prices = price_history(ticker, months=3)
        messages = [
            SystemMessage(content=TECHNICAL),
            HumanMessage(content=f"The prices of {ticker}:\n{prices}\n\nWhere do they go?"),
        ]
        response = llm.invoke(messages)
        return {"analyst_reports": {"Technical Analyst": response.content}}

    def risk_manager_node(state: AgentState) -> dict:
        ticker = state["ticker"]
        prime_directive = state.get("prime_directive", "Lose nothing.")
        warnings = search_web(f"lawsuits and scandals of {ticker}")
        messages = [
            SystemMessage(content=RISK.format(prime_directive=prime_directive)),
            HumanMessage(content=f"{ticker} in the press:\n{warnings}\n\nWhat may go wrong?"),
        ]
        response = llm.invoke(messages)
        return {"risk_report": response.content}

    def chairperson_node(state: AgentState) -> dict:
        reports = state["analyst_reports"]
        risk_report = state.get("risk_report", "none")
        ticker = state["ticker"]
        prime_directive = state.get("prime_directive", "none")
        text = ""
        for role, content in reports.items():
            text += f"{role} says:\n{content}\n\n"
        text += f"Against it:\n{risk_report}\n\n"
        messages = [
            SystemMessage(content=CHAIR.format(prime_directive=prime_directive)),
            HumanMessage(content=f"{ticker}\n\n{text}Buy, sell or hold?"),
        ]
        response = llm.invoke(messages)
        content = response.content.replace("```", "").strip()
        return {"final_decision": content}

    graph = StateGraph(AgentState)
    graph.add_node("macro_analyst", macro_analyst_node)
    graph.add_node("fundamental_analyst", fundamental_analyst_node)
    graph.add_node("technical_analyst", technical_analyst_node)
    graph.add_node("risk_manager", risk_manager_node)
    graph.add_node("chairperson", chairperson_node)
    graph.set_entry_point("macro_analyst")
    graph.add_edge("macro_analyst", "fundamental_analyst")
    graph.add_edge("fundamental_analyst", "technical_analyst")
    graph.add_edge("technical_analyst", "risk_manager")
    graph.add_edge("risk_manager", "chairperson")
    graph.add_edge("chairperson", END)
    return graph
