"""A document pipeline as people write it: six model nodes, one after another."""

from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

DOCUMENT = Path(__file__).parent / "data" / "us_constitution.txt"


class Brief(TypedDict, total=False):
    """The state of the pipeline."""

    document: str
    summary: str
    offices: str
    duties: str
    glossary: str
    questions: str
    brief: str


def build_pipeline(llm: BaseChatModel) -> StateGraph[Brief, Any, Any, Any]:
    """Return the sequential pipeline; each node names in its code what it needs."""
    short, long = llm.bind(max_tokens=120), llm.bind(max_tokens=180)

    def summarize(state: Brief) -> Brief:
        answer = long.invoke(f"{state['document']}\n\nSummarize this document.")
        return {"summary": answer.text}

    def list_offices(state: Brief) -> Brief:
        answer = short.invoke(f"{state['document']}\n\nList the offices it creates.")
        return {"offices": answer.text}

    def list_duties(state: Brief) -> Brief:
        answer = short.invoke(f"{state['document']}\n\nList the duties it lays down.")
        return {"duties": answer.text}

    def explain_terms(state: Brief) -> Brief:
        answer = short.invoke(f"{state['document']}\n\nExplain terms a reader may not know.")
        return {"glossary": answer.text}

    def ask_questions(state: Brief) -> Brief:
        answer = short.invoke(
            f"Write five questions that this summary leaves open.\n{state['summary']}"
        )
        return {"questions": answer.text}

    def write_brief(state: Brief) -> Brief:
        parts = [state["summary"], state["offices"], state["duties"]]
        parts += [state["glossary"], state["questions"]]
        answer = long.invoke("Write one brief from these notes.\n\n" + "\n\n".join(parts))
        return {"brief": answer.text}

    graph = StateGraph(Brief)
    graph.add_sequence(
        [summarize, list_offices, list_duties, explain_terms, ask_questions, write_brief]
    )
    graph.add_edge(START, "summarize")
    graph.add_edge("write_brief", END)
    return graph
