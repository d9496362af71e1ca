"""A report is planned, researched, written and checked in a loop, then drawn and published.

Shape of `multi_agents/agents/orchestrator.py` in assafelovic/gpt-researcher, with its agents as
objects whose methods are the nodes, in their synchronous form.

    browser -> planner -> human -?-> researcher -> writer -> fact_checker -?->
                  ^---------'                        ^-------------'
        visualizer -> publisher
"""

import json
import logging
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages
from langgraph.graph import END, StateGraph
from typing_extensions import TypedDict

from benchmarks.graphs.vendor import search_web

GIVEN = {
    "task": {"query": "Why do tides differ between harbors?", "max_sections": 3, "verbose": False}
}
MOST_REVISIONS = 2
logger = logging.getLogger(__name__)


class ResearchState(TypedDict):
    """A report on its way; every key keeps the last value."""

    task: dict
    initial_research: str
    sections: list[str]
    research_data: list[dict]
    human_feedback: str | None
    plan_revision_count: int
    title: str
    headers: dict
    date: str
    table_of_contents: str
    introduction: str
    conclusion: str
    sources: list[str]
    report: str
    fact_check_notes: str | None
    fact_check_revision_count: int
    diagrams: list[str]


def say(text: str, agent: str) -> None:
    """Tell the operator what an agent does."""
    logger.info("%s %s", agent, text)


class Agent:
    """What all agents share: the model."""

    def __init__(self, llm: BaseChatModel) -> None:
        self.llm = llm

    def call_model(self, prompt: list[dict], fields: tuple[str, ...] = ()) -> Any:
        """Return the model's answer; parsed JSON with these fields when any are named."""
        messages = convert_to_messages(prompt)
        if not fields:
            return self.llm.invoke(messages).content
        schema = {
            "type": "object",
            "properties": {name: {"type": "string"} for name in fields},
            "required": list(fields),
        }
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        return json.loads(self.llm.bind(response_format=wanted).invoke(messages).content)


class ResearchAgent(Agent):
    """Finds sources."""

    def run_initial_research(self, research_state: dict) -> dict:
        """Look the question up."""
        task = research_state.get("task")
        query = task.get("query")
        say(f"looks up {query}", agent="BROWSER")
        found = search_web(query)
        prompt = [{"role": "user", "content": f"What is known about {query}?\n{found}"}]
        return {"task": task, "initial_research": self.call_model(prompt)}


class EditorAgent(Agent):
    """Plans the report and has its sections researched."""

    def plan_research(self, research_state: dict) -> dict:
        """Choose the sections."""
        initial_research = research_state.get("initial_research")
        task = research_state.get("task")
        human_feedback = research_state.get("human_feedback")
        prompt = [
            {"role": "system", "content": "You lay out reports."},
            {
                "role": "user",
                "content": f"At most {task.get('max_sections')} sections for:\n{initial_research}\n"
                f"{human_feedback or ''}",
            },
        ]
        say("lays out the report", agent="EDITOR")
        plan = self.call_model(prompt, fields=("title", "date", "first", "second"))
        return {
            "title": plan.get("title"),
            "date": plan.get("date"),
            "sections": [plan.get("first"), plan.get("second")],
        }

    def run_parallel_research(self, research_state: dict) -> dict:
        """Have every section written."""
        queries = research_state.get("sections")
        title = research_state.get("title")
        say(f"has {queries} researched", agent="EDITOR")
        results = []
        for query in queries:
            prompt = [{"role": "user", "content": f"Write on {query} for {title}."}]
            results.append({query: self.call_model(prompt)})
        return {"research_data": results}


class HumanAgent(Agent):
    """Asks for consent when the task wants it."""

    def review_plan(self, research_state: dict) -> dict:
        """Ask for consent."""
        task = research_state.get("task")
        user_feedback = None
        if task.get("include_human_feedback"):
            user_feedback = task.get("feedback")
        return {"human_feedback": user_feedback}


class WriterAgent(Agent):
    """Writes the frame of the report."""

    def write_sections(self, research_state: dict) -> dict:
        """Return the parts around the sections."""
        query = research_state.get("title")
        data = research_state.get("research_data")
        task = research_state.get("task")
        prompt = [
            {"role": "system", "content": "You write beginnings and ends."},
            {"role": "user", "content": f"{query}\n{data!s}\n{task.get('guidelines')}"},
        ]
        return self.call_model(prompt, fields=("table_of_contents", "introduction", "conclusion"))

    def get_headers(self, research_state: dict) -> dict:
        """Return the headings."""
        return {"title": research_state.get("title"), "introduction": "Introduction"}

    def run(self, research_state: dict) -> dict:
        """Do the work of the node."""
        say("writes the report", agent="WRITER")
        layout = self.write_sections(research_state)
        headers = self.get_headers(research_state)
        return {**layout, "headers": headers}


class FactCheckerAgent(Agent):
    """Looks for mistakes in the draft."""

    def check_facts(self, research_state: dict) -> str:
        """Return what is wrong, or `None` in a word."""
        intro = research_state.get("introduction", "")
        conclusion = research_state.get("conclusion", "")
        data = research_state.get("research_data", [])
        draft = f"{intro}\n{data}\n{conclusion}"
        return self.call_model([{"role": "user", "content": f"What is wrong here?\n{draft}"}])

    def run(self, research_state: dict) -> dict:
        """Do the work of the node."""
        say("checks the draft", agent="FACT_CHECKER")
        review = self.check_facts(research_state)
        if review.strip() == "None":
            review = None
        out = {"fact_check_notes": review}
        if review is not None:
            out["fact_check_revision_count"] = (
                research_state.get("fact_check_revision_count", 0) + 1
            )
        return out


class VisualizerAgent(Agent):
    """Draws what the data allows."""

    def generate_visualizations(self, research_state: dict) -> str:
        """Return a diagram, or `None` in a word."""
        data = research_state.get("research_data", [])
        return self.call_model([{"role": "user", "content": f"Draw this as a diagram:\n{data}"}])

    def run(self, research_state: dict) -> dict:
        """Do the work of the node."""
        say("draws", agent="VISUALIZER")
        diagram_output = self.generate_visualizations(research_state)
        diagrams = []
        if "None" not in diagram_output:
            diagrams.append(diagram_output)
        return {"diagrams": diagrams}


class PublisherAgent(Agent):
    """Puts the parts together; the original also writes files, in the formats that a task names."""

    def generate_layout(self, research_state: dict) -> str:
        """Return the whole report."""
        sections = []
        for subheader in research_state.get("research_data", []):
            sections.extend(f"{value}" for value in subheader.values())
        headers = research_state.get("headers", {})
        sections_text = "\n\n".join(sections)
        return (
            f"# {headers.get('title')}\n\n{research_state.get('introduction')}\n\n"
            f"{research_state.get('table_of_contents')}\n\n{sections_text}\n\n"
            f"{research_state.get('conclusion')}"
        )

    def run(self, research_state: dict) -> dict:
        """Do the work of the node."""
        say("publishes", agent="PUBLISHER")
        return {"report": self.generate_layout(research_state)}


def route_human_feedback(state: ResearchState) -> str:
    return "accept" if state["human_feedback"] is None else "revise"


def route_fact_check(state: ResearchState) -> str:
    if state.get("fact_check_notes") is None:
        return "accept"
    return "accept" if state.get("fact_check_revision_count", 0) >= MOST_REVISIONS else "revise"


def build(llm: BaseChatModel) -> StateGraph[ResearchState, Any, Any, Any]:
    graph = StateGraph(ResearchState)
    graph.add_node("browser", ResearchAgent(llm).run_initial_research)
    graph.add_node("planner", EditorAgent(llm).plan_research)
    graph.add_node("researcher", EditorAgent(llm).run_parallel_research)
    graph.add_node("writer", WriterAgent(llm).run)
    graph.add_node("fact_checker", FactCheckerAgent(llm).run)
    graph.add_node("visualizer", VisualizerAgent(llm).run)
    graph.add_node("publisher", PublisherAgent(llm).run)
    graph.add_node("human", HumanAgent(llm).review_plan)
    graph.add_edge("browser", "planner")
    graph.add_edge("planner", "human")
    graph.add_edge("researcher", "writer")
    graph.add_edge("writer", "fact_checker")
    graph.add_edge("visualizer", "publisher")
    graph.set_entry_point("browser")
    graph.add_edge("publisher", END)
    graph.add_conditional_edges(
        "human", route_human_feedback, {"accept": "researcher", "revise": "planner"}
    )
    graph.add_conditional_edges(
        "fact_checker", route_fact_check, {"accept": "visualizer", "revise": "writer"}
    )
    return graph
