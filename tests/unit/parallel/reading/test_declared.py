"""A declaration that names what the graph does not have is an error, not a silent change."""

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import AnalysisError, Effects, effects, explain, parallelize


class State(TypedDict, total=False):
    topic: str
    reply: str


def give(state: State):
    return {"reply": state["topic"]}


def graph(node=give, **settings):
    builder = StateGraph(State).add_node("give", node, **settings)
    return builder.add_edge(START, "give")


@pytest.mark.parametrize("kind", ["reads", "writes", "mutates", "folds"])
def test_a_misspelt_key_is_an_error_that_names_the_near_ones(kind):
    wrong = Effects(**{kind: {"topik"}})
    message = rf"node 'give' name 'topik' in {kind}=.* reply, topic \(did you mean 'topic'\?\)"

    @effects(**{kind: {"topik"}})
    def marked(state): ...

    for build in (explain, parallelize):
        with pytest.raises(AnalysisError, match=message):
            build(graph(), effects={"give": wrong})
        with pytest.raises(AnalysisError, match=message):
            build(graph(metadata={"langgraph_parallel": {"effects": wrong}}))
        with pytest.raises(AnalysisError, match=message):
            build(graph(marked))


def test_a_marked_helper_may_name_keys_of_another_state():
    @effects(reads={"elsewhere"}, external="read")
    def look(key): ...

    def node(state: State):
        return {"reply": look(state["topic"])}

    assert explain(graph(node)).effects["give"].reads == {"topic"}


def test_a_misspelt_node_is_an_error_that_names_the_near_ones():
    with pytest.raises(AnalysisError, match=r"names 'giv', .* are give \(did you mean 'give'\?\)"):
        explain(graph(), effects={"giv": Effects()})


def missing_edge():
    return graph().add_edge("give", "reply")


def missing_choice():
    return graph().add_conditional_edges("give", lambda state: "reply", ["reply"])


@pytest.mark.parametrize("build", [missing_edge, missing_choice])
@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_an_edge_to_a_missing_node_is_one_clear_error(build, mode):
    with pytest.raises(AnalysisError, match=r"names 'reply', which is not a node"):
        explain(build(), mode=mode)
    with pytest.raises(ValueError, match="unknown"):  # LangGraph's own
        parallelize(build(), mode=mode).compile()
