"""A trip is checked, researched, planned; beds and activities are found; all becomes one plan.

Shape of a public travel agent whose nodes return the whole state, `{**state, "itinerary": ...}`,
and run the tools that the model asks for. `suggest_accommodations` and
`recommend_activities` both read the itinerary and neither reads what the other one writes.
"""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.graph import END, StateGraph
from typing_extensions import TypedDict

from benchmarks.graphs.vendor import search_web

GIVEN = {
    "source": "Oslo",
    "destination": "Lisbon",
    "start_date": "3 May",
    "end_date": "6 May",
    "preferences": "by train where possible",
    "hobbies": "tiles, trams",
    "messages": [],
}


class TravelAgentState(TypedDict):
    """A trip and what is planned for it."""

    source: str
    destination: str
    start_date: str
    end_date: str
    preferences: str
    hobbies: str
    messages: list[BaseMessage]
    destination_info: str
    itinerary: str
    accommodations: str
    activities: str
    final_plan: str


@tool
def search_travel(query: str) -> str:
    """Search for places, prices and opening times."""
    return search_web(query)


TRAVEL_TOOLS = [search_travel]


def answer_with_tools(llm: BaseChatModel, messages: list) -> BaseMessage:
    """Let the model call tools until it answers; the original has this loop in each node."""
    response = llm.invoke(messages)
    while response.tool_calls:
        tool_messages = []
        for tool_call in response.tool_calls:
            tool_name = tool_call["name"]
            tool_args = tool_call["args"]
            found = next((t for t in TRAVEL_TOOLS if t.name == tool_name), None)
            if found:
                tool_result = found.invoke(tool_args)
                tool_messages.append(
                    {
                        "role": "tool",
                        "content": str(tool_result),
                        "tool_call_id": tool_call["id"],
                    }
                )
        messages.append(response)
        messages.extend(tool_messages)
        response = llm.invoke(messages)
    return response


def build(llm: BaseChatModel) -> StateGraph[TravelAgentState, Any, Any, Any]:
    def create_llm(use_tools: bool = False) -> BaseChatModel:
        model = llm
        if use_tools:
            model = model.bind_tools(TRAVEL_TOOLS)
        return model

    def validate_input_node(state: TravelAgentState) -> TravelAgentState:
        message = (
            f"From {state.get('source', '?')} to {state.get('destination', '?')}, "
            f"{state.get('start_date', '?')} to {state.get('end_date', '?')}; "
            f"{state.get('preferences', '?')}; {state.get('hobbies', '?')}"
        )
        return {
            **state,
            "messages": state.get("messages", []) + [HumanMessage(content=message)],  # noqa: RUF005
        }

    def research_destination_node(state: TravelAgentState) -> TravelAgentState:
        llm = create_llm(use_tools=True)
        messages = [
            SystemMessage(content="You know what is worth seeing. Use the search tool."),
            HumanMessage(
                content=f"Tell me about {state['destination']} from {state['start_date']} to "
                f"{state['end_date']}, coming from {state['source']}. I like {state['hobbies']}; "
                f"{state['preferences']}."
            ),
        ]
        response = answer_with_tools(llm, messages)
        return {**state, "destination_info": response.content}

    def plan_itinerary_node(state: TravelAgentState) -> TravelAgentState:
        llm = create_llm(use_tools=False)
        messages = [
            SystemMessage(content="You plan days that leave time to rest."),
            HumanMessage(
                content=f"Plan {state['start_date']} to {state['end_date']} in "
                f"{state['destination']} for someone who likes {state['hobbies']}, "
                f"{state['preferences']}.\n\n{state['destination_info']}"
            ),
        ]
        response = llm.invoke(messages)
        return {**state, "itinerary": response.content}

    def suggest_accommodations_node(state: TravelAgentState) -> TravelAgentState:
        llm = create_llm(use_tools=True)
        messages = [
            SystemMessage(content="You know good beds at every price. Use the search tool."),
            HumanMessage(
                content=f"Where to sleep in {state['destination']}, {state['start_date']} to "
                f"{state['end_date']}, {state['preferences']}?\n\n{state['itinerary']}"
            ),
        ]
        response = answer_with_tools(llm, messages)
        return {**state, "accommodations": response.content}

    def recommend_activities_node(state: TravelAgentState) -> TravelAgentState:
        llm = create_llm(use_tools=True)
        messages = [
            SystemMessage(content="You know what locals do. Use the search tool."),
            HumanMessage(
                content=f"What to do in {state['destination']} for a lover of {state['hobbies']}, "
                f"{state['start_date']} to {state['end_date']}, {state['preferences']}?"
                f"\n\n{state['itinerary']}"
            ),
        ]
        response = answer_with_tools(llm, messages)
        return {**state, "activities": response.content}

    def compile_final_plan_node(state: TravelAgentState) -> TravelAgentState:
        llm = create_llm(use_tools=False)
        messages = [
            SystemMessage(content="You make one clear plan of many notes."),
            HumanMessage(
                content=f"{state['source']} to {state['destination']}, {state['start_date']} to "
                f"{state['end_date']}.\n\n{state['destination_info']}\n\n{state['itinerary']}\n\n"
                f"{state['accommodations']}\n\n{state['activities']}"
            ),
        ]
        response = llm.invoke(messages)
        return {
            **state,
            "final_plan": response.content,
            "messages": state.get("messages", [])  # noqa: RUF005
            + [HumanMessage(content=response.content)],
        }

    graph = StateGraph(TravelAgentState)
    graph.add_node("validate_input", validate_input_node)
    graph.add_node("research_destination", research_destination_node)
    graph.add_node("plan_itinerary", plan_itinerary_node)
    graph.add_node("suggest_accommodations", suggest_accommodations_node)
    graph.add_node("recommend_activities", recommend_activities_node)
    graph.add_node("compile_final_plan", compile_final_plan_node)
    graph.set_entry_point("validate_input")
    graph.add_edge("validate_input", "research_destination")
    graph.add_edge("research_destination", "plan_itinerary")
    graph.add_edge("plan_itinerary", "suggest_accommodations")
    graph.add_edge("suggest_accommodations", "recommend_activities")
    graph.add_edge("recommend_activities", "compile_final_plan")
    graph.add_edge("compile_final_plan", END)
    return graph
