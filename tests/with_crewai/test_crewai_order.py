"""Which tasks of a crew are ordered, and why."""

import pytest
from crewai import Crew
from crewai.hooks.dispatch import InterceptionPoint, register_scoped, scoped_hooks
from crewai.tools import tool
from scripted import agent_of, five, scripted, task_of

from langgraph_parallel import ALL, AnalysisError, ParallelConfig
from langgraph_parallel.adapters import crewai
from langgraph_parallel.plan.dependencies import Decision, Findings
from langgraph_parallel.plan.planner import ParallelPlanner


@tool("search")
def search(query: str) -> str:
    """Search the web."""
    return query


@tool("send")
def send(text: str) -> str:
    """Send a message."""
    return text


def pair(*, first=None, second=None, agent=None, **crew):
    """A crew of two tasks without a context, which differ in what is given."""
    agent = agent or agent_of(scripted())
    t1 = task_of("t1", agent, **{"context": [], **(first or {})})
    t2 = task_of("t2", agent, **{"context": [], **(second or {})})
    return Crew(agents=[agent], tasks=[t1, t2], **crew)


@pytest.mark.parametrize(
    ("crew", "reason"),
    [
        (lambda: pair(second={"tools": [send]}), "nothing says that the tool 'send' only reads"),
        (lambda: pair(agent=agent_of(scripted(), allow_delegation=True)), "`allow_delegation`"),
        (lambda: pair(first={"tools": [send]}, second={"tools": [search]}), "may see what that"),
        (
            lambda: pair(first={"output_file": "x.txt"}, second={"tools": [search]}),
            "writes a file",
        ),
        (lambda: pair(second={"human_input": True}), "a person is asked"),
        (lambda: five(scripted()), None),
        (lambda: pair(first={"tools": [search]}, second={"tools": [search]}), None),
        (lambda: pair(first={"tools": [send]}), None),
    ],
)
def test_pair_is_ordered_for_a_reason(crew, reason):
    decision = crewai.explain(crew(), read_only_tools={"search"}).why("1", "2")
    assert decision.ordered == (reason is not None)
    assert reason is None or reason in decision.reason


def test_callback_may_change_what_tools_see_unless_said_otherwise():
    crew = pair(first={"callback": print}, second={"tools": [send]})
    assert "it calls back" in crewai.explain(crew, read_only_tools=ALL).why("1", "2").reason
    trusting = ParallelConfig(unknown_calls="independent")
    assert not crewai.explain(crew, config=trusting).why("1", "2").ordered


def test_all_tools_may_be_said_to_read():
    crew = pair(first={"tools": [send]}, second={"tools": [send]})
    assert not crewai.explain(crew, read_only_tools=ALL).why("1", "2").ordered


def test_answer_that_a_tool_gives_goes_to_the_next_task_of_the_agent():
    search_and_answer = search.model_copy(update={"result_as_answer": True})
    crew = pair(first={"tools": [search_and_answer]})
    assert "hands a tool's answer" in crewai.explain(crew, read_only_tools=ALL).why(0, 1).reason


def test_missing_context_means_all_outputs_before():
    agent = agent_of(scripted())
    crew = Crew(agents=[agent], tasks=[task_of("t1", agent), task_of("t2", agent)])
    assert "it gets all outputs" in crewai.explain(crew).why("1", "2").reason
    assert crewai.to_tasks(crew)[1].depends_on == ("1",)
    assert ParallelPlanner().optimize(crew).why("1", "2").ordered


class ThirdNeedsFirst:
    """An analyzer for crews of three tasks."""

    def analyze(self, tasks, *, goal=""):
        pairs = {("1", "2"): False, ("1", "3"): True, ("2", "3"): False}
        return Findings(
            decisions=tuple(
                Decision(earlier=a, later=b, ordered=o, source="heuristic", reason="stated")
                for (a, b), o in pairs.items()
            )
        )


def test_relaxed_task_gets_the_outputs_that_it_needs():
    llm = scripted(meeting=("t1", "t2"))
    agent = agent_of(llm)
    tasks = [task_of(name, agent) for name in ("t1", "t2", "t3")]
    settings = {
        "contexts": "relaxed",
        "config": ParallelConfig(strategies=("stated",)),
        "analyzers": {"stated": ThirdNeedsFirst()},
    }
    crew = crewai.parallelize(Crew(agents=[agent], tasks=tasks), **settings)
    crew.kickoff()
    asked = str(llm.transcripts["t3"])
    assert "t1 done" in asked
    assert "t2 done" not in asked


def test_failing_analyzer_leaves_the_crew_in_order(caplog):
    class Broken:
        def analyze(self, tasks, *, goal=""):
            raise ConnectionError("secret")

    llm = scripted()
    agent = agent_of(llm)
    crew = Crew(agents=[agent], tasks=[task_of(f"t{i}", agent) for i in range(3)])
    crew = crewai.parallelize(
        crew,
        contexts="relaxed",
        config=ParallelConfig(strategies=("broken",)),
        analyzers={"broken": Broken()},
    )
    crew.kickoff()
    assert llm.order == ["t0", "t1", "t2"]
    assert "ConnectionError" in caplog.text
    assert "secret" not in caplog.text


def test_hooks_and_streams_keep_the_order():
    crew = five(scripted())
    with scoped_hooks():
        register_scoped(InterceptionPoint.PRE_STEP, lambda context: None)
        assert "hooks are registered" in crewai.explain(crew).notes[0]
    assert not crewai.explain(crew).notes
    crew.agents[0].llm.stream = True
    assert "answers are streamed" in crewai.explain(crew).notes[0]


def test_user_errors_are_told_at_once():
    from langgraph_parallel.errors import PlanError

    with pytest.raises(AnalysisError, match="takes a CrewAI Crew"):
        crewai.parallelize("crew")
    with pytest.raises(AnalysisError, match="contexts='loose' is neither"):
        crewai.parallelize(five(scripted()), contexts="loose")
    with pytest.raises(PlanError, match="'llm'"):
        crewai.parallelize(five(scripted()), config=ParallelConfig(strategies=("llm",)))


def test_crew_is_not_changed():
    crew = five(scripted())
    before = set(vars(crew))
    crewai.parallelize(crew)
    assert set(vars(crew)) == before
