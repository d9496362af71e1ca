"""Chains and runnables around others run what they are made of, wherever they are made."""

from operator import itemgetter

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import (
    BaseChatModel,
    FakeListChatModel,
    GenericFakeChatModel,
)
from langchain_core.messages import AIMessage, HumanMessage, convert_to_messages, trim_messages
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import (
    ConfigurableField,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
)
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from langgraph_parallel import infer_effects, parallelize

LLM = ChatOpenAI(model="none", api_key="none", base_url="http://127.0.0.1:9/v1")
OTHER = ChatOpenAI(model="other", api_key="none", base_url="http://127.0.0.1:9/v1")
PROMPT = ChatPromptTemplate.from_template("{q}")
SEEN = []


class State(TypedDict, total=False):
    a: str
    b: str


class Answer(BaseModel):
    text: str


def does(node):
    found = infer_effects(node, State)
    return found.external, {str(place) for place in found.changes} - {"the handlers"}


# -- known -----------------------------------------------------------------------------------------


def getter(state):
    chain = {"q": itemgetter("a")} | PROMPT | LLM | StrOutputParser()
    return {"b": chain.invoke({"a": state["a"]}).strip()}


def function_at_the_end(state):
    chain = PROMPT | LLM | (lambda answer: answer.content.strip())
    return {"b": chain.invoke({"q": state["a"]})}


def made_lambda(state):
    chain = RunnableLambda(lambda text: {"q": text.upper()}) | PROMPT | LLM
    return {"b": chain.invoke(state["a"]).text}


def assigned(state):
    chain = RunnablePassthrough.assign(q=lambda given: given["a"].upper()) | PROMPT | LLM
    return {"b": chain.invoke({"a": state["a"]}).text}


def parallel(state):
    chain = RunnableParallel(one=PROMPT | LLM | StrOutputParser(), two=RunnablePassthrough())
    return {"b": chain.invoke({"q": state["a"]})["one"]}


def branch(state):
    chain = RunnableBranch((lambda given: len(given["q"]) > 3, PROMPT | LLM), PROMPT | OTHER)
    return {"b": chain.invoke({"q": state["a"]}).text}


def piped(state):
    return {"b": PROMPT.pipe(LLM, StrOutputParser()).invoke({"q": state["a"]})}


def mapped(state):
    answers = (PROMPT | LLM | StrOutputParser()).map().invoke([{"q": state["a"]}])
    return {"b": "".join(answers)}


def batched(state):
    return {"b": "".join((PROMPT | LLM | StrOutputParser()).batch([{"q": state["a"]}]))}


def retried(state):
    return {"b": LLM.with_retry(stop_after_attempt=2).invoke(state["a"]).text}


def falling_back(state):
    return {"b": LLM.with_fallbacks([OTHER]).invoke(state["a"]).text}


def structured_with_raw(state):
    answer = LLM.with_structured_output(Answer, include_raw=True).invoke(state["a"])
    return {"b": answer["parsed"].text if answer["parsed"] else answer["raw"].content}


def messages(state):
    kept = trim_messages([HumanMessage(state["a"])], max_tokens=9, token_counter=len)
    return {"b": LLM.invoke(convert_to_messages([*kept, ("user", "?")])).text}


async def events(state):
    text = ""
    async for event in LLM.astream_events(state["a"]):
        text += str(event["data"])
    return {"b": text}


def prompt_of_parts(state):
    prompt = PromptTemplate.from_template("{x} {q}").partial(x="1")
    return {"b": (prompt | LLM).invoke({"q": state["a"]}).text}


BRANCH = RunnableBranch((lambda given: given["q"], PROMPT | LLM), PROMPT | OTHER)
RETRIED = (PROMPT | LLM | StrOutputParser()).with_retry()
BACKED = (PROMPT | LLM).with_fallbacks([PROMPT | OTHER])
SETTABLE = LLM.configurable_fields(temperature=ConfigurableField(id="t"))
CHOICE = LLM.configurable_alternatives(ConfigurableField(id="llm"), other=OTHER)
WITH_RAW = LLM.with_structured_output(Answer, include_raw=True)
GETTER = {"q": itemgetter("a")} | PROMPT | LLM


def of_the_module(state):
    given = {"q": state["a"], "a": state["a"]}
    text = BRANCH.invoke(given).text + RETRIED.invoke(given) + BACKED.invoke(given).text
    text += SETTABLE.with_config(configurable={"t": 0.1}).invoke(state["a"]).text
    text += CHOICE.invoke(state["a"]).text + GETTER.invoke(given).text
    parsed = WITH_RAW.invoke(state["a"])["parsed"]
    return {"b": text + parsed.text}


KNOWN = [
    *(getter, function_at_the_end, made_lambda, assigned, parallel, branch, piped, mapped, batched),
    *(retried, falling_back, structured_with_raw, messages, events, prompt_of_parts),
    of_the_module,
]


@pytest.mark.parametrize("node", KNOWN, ids=lambda node: node.__name__)
def test_chain_of_known_parts_is_a_model_call(node):
    assert does(node) == ({"model"}, set())


class Binding(ChatOpenAI):
    def bind_tools(self, tools, **kwargs):
        return super().bind_tools([convert_to_openai_tool(tool) for tool in tools], **kwargs)


BINDING = Binding(model="none", api_key="none")


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def test_bound_tools_of_a_users_model_are_shown_and_not_run():
    def node(state):
        return {"b": BINDING.bind_tools([add]).invoke(state["a"]).text}

    assert does(node) == ({"model"}, set())


# -- what keeps its place --------------------------------------------------------------------------


def note(value):
    SEEN.append(value)
    return value


def step_with_a_record(state):
    return {"b": (PROMPT | LLM | note).invoke({"q": state["a"]}).text}


def made_lambda_with_a_record(state):
    return {"b": (PROMPT | LLM | RunnableLambda(note)).invoke({"q": state["a"]}).text}


def part_with_a_record(state):
    return {"b": ({"q": lambda text: note(text)} | PROMPT | LLM).invoke(state["a"]).text}


def assigned_record(state):
    chain = RunnablePassthrough.assign(q=note) | PROMPT | LLM
    return {"b": chain.invoke({"a": state["a"]}).text}


def branch_with_a_record(state):
    chain = RunnableBranch((note, PROMPT | LLM), PROMPT | OTHER)
    return {"b": chain.invoke({"q": state["a"]}).text}


def fallback_with_a_record(state):
    return {"b": LLM.with_fallbacks([RunnableLambda(note)]).invoke(state["a"]).text}


def mapped_record(state):
    return {"b": str(RunnableLambda(note).map().invoke([state["a"]]))}


def batched_record(state):
    return {"b": str(RunnableLambda(note).batch([state["a"]]))}


def returned_record(state):
    chain = RunnableLambda(lambda given: RunnableLambda(note))
    return {"b": str(chain.invoke(state["a"]))}


FALLBACK = LLM.with_fallbacks([RunnableLambda(note)])
TEST = RunnableBranch((note, PROMPT | LLM), PROMPT | OTHER)


def fallback_of_the_module(state):
    return {"b": FALLBACK.invoke(state["a"]).text}


def branch_of_the_module(state):
    return {"b": TEST.invoke({"q": state["a"]}).text}


class Watched(BaseCallbackHandler):
    def on_chat_model_start(self, *args, **kwargs):
        SEEN.append(1)


def retried_and_watched(state):
    return {"b": LLM.with_retry().with_config(callbacks=[Watched()]).invoke(state["a"]).text}


WATCHED_RETRY = LLM.with_retry().with_config(callbacks=[Watched()])


def watched_of_the_module(state):
    return {"b": WATCHED_RETRY.invoke(state["a"]).text}


class OwnSequence(RunnableSequence):
    def invoke(self, input, config=None, **kwargs):
        SEEN.append(input)
        return super().invoke(input, config, **kwargs)


OWN = OwnSequence(PROMPT, LLM)


def own_sequence(state):
    return {"b": OWN.invoke({"q": state["a"]}).text}


def own_sequence_in_a_chain(state):
    return {"b": (RunnablePassthrough() | OWN).invoke({"q": state["a"]}).text}


class Counting(BaseChatModel):
    calls: int = 0

    @property
    def _llm_type(self):
        return "counting"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.calls += 1
        return ChatResult(generations=[ChatGeneration(message=AIMessage(str(self.calls)))])

    def bind_tools(self, tools, **kwargs):
        SEEN.append(tools)
        return self


COUNTING = Counting()
RETRIED_COUNTING = COUNTING.with_retry()


def counting(state):
    return {"b": (PROMPT | COUNTING).invoke({"q": state["a"]}).text}


def retried_counting(state):
    return {"b": RETRIED_COUNTING.invoke(state["a"]).text}


def shown_tools(state):
    return {"b": COUNTING.bind_tools([]).invoke(state["a"]).text}


def kept_chain(state):
    SEEN.append(PROMPT | LLM | note)
    return {"b": state["a"]}


def partial_with_a_function(state):
    prompt = PromptTemplate.from_template("{x} {q}").partial(x=lambda: note("x"))
    return {"b": (prompt | LLM).invoke({"q": state["a"]}).text}


def calls_back(value, then=None):
    return then(value)


def bound_function(state):
    return {"b": RunnableLambda(calls_back).bind(then=note).invoke(state["a"])}


BOUND = RunnableLambda(calls_back).bind(then=note)
BOUND_CHAIN = (RunnablePassthrough() | RunnableLambda(calls_back)).bind(then=note)


def bound_of_the_module(state):
    return {"b": BOUND.invoke(state["a"])}


def bound_chain_of_the_module(state):
    return {"b": BOUND_CHAIN.invoke(state["a"])}


SAME = FakeListChatModel(responses=["same"])


def longer_script(state):
    SAME.responses.append("another")
    return {"b": state["a"]}


HOSTILE = [
    *(partial_with_a_function, bound_function, bound_of_the_module, bound_chain_of_the_module),
    longer_script,
    *(step_with_a_record, made_lambda_with_a_record, part_with_a_record, assigned_record),
    *(branch_with_a_record, fallback_with_a_record, mapped_record, batched_record),
    *(returned_record, fallback_of_the_module, branch_of_the_module, retried_and_watched),
    *(watched_of_the_module, own_sequence, own_sequence_in_a_chain, counting, retried_counting),
    *(shown_tools, kept_chain),
]


@pytest.mark.parametrize("node", HOSTILE, ids=lambda node: node.__name__)
def test_chain_with_an_effect_keeps_its_place(node):
    external, changes = does(node)
    assert changes or external & {"write", "unknown"}


# -- models that answer from a script --------------------------------------------------------------


def two(model, other):
    def first(state):
        return {"a": model.invoke("x").text}

    def second(state):
        return {"b": other.invoke("x").text}

    builder = StateGraph(State)
    builder.add_sequence([first, second])
    builder.add_edge(START, "first")
    builder.add_edge("second", END)
    return parallelize(builder.compile())


def script():
    return GenericFakeChatModel(messages=iter([AIMessage("1"), AIMessage("2")]))


def test_models_with_scripts_of_their_own_run_together():
    graph = two(script(), script())
    assert graph.parallel_report.speedup == 2.0
    assert graph.invoke({}) == {"a": "1", "b": "1"}


def test_one_script_is_read_in_order():
    model = script()
    graph = two(model, model)
    assert graph.parallel_report.speedup == 1.0
    assert graph.invoke({}) == {"a": "1", "b": "2"}


def test_iterator_shared_by_two_models_is_read_in_order():
    answers = iter([AIMessage("1"), AIMessage("2")])
    graph = two(GenericFakeChatModel(messages=answers), GenericFakeChatModel(messages=answers))
    assert graph.parallel_report.speedup == 1.0


def test_model_that_always_says_the_same_has_no_order():
    model = FakeListChatModel(responses=["same"])
    assert two(model, model).parallel_report.speedup == 2.0
    turns = FakeListChatModel(responses=["one", "two"])
    assert two(turns, turns).parallel_report.speedup == 1.0


def test_script_that_a_node_makes_longer_is_read_afterwards():
    model = FakeListChatModel(responses=["same"])

    def first(state):
        model.responses.append("another")
        return {"a": "x"}

    def second(state):
        return {"b": model.invoke("x").text}

    builder = StateGraph(State)
    builder.add_sequence([first, second])
    builder.add_edge(START, "first")
    builder.add_edge("second", END)
    assert parallelize(builder.compile()).parallel_report.speedup == 1.0
