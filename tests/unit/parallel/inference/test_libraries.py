"""Nodes that call libraries: retrievers, stores, tools, tool nodes, things that are shown."""

import operator
import sqlite3
import sys
from typing import Annotated, Any

import pytest
import requests
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.prompts import PromptTemplate, format_document
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, tool
from langchain_core.tools.retriever import create_retriever_tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.prebuilt import InjectedState, ToolNode, ToolRuntime, tools_condition
from langgraph.types import Command, interrupt
from pydantic import BaseModel, field_validator
from typing_extensions import TypedDict

from langgraph_parallel import explain, infer_effects, parallelize
from langgraph_parallel.inference.calls import following
from langgraph_parallel.testing import assert_equivalent

LLM = ChatOpenAI(model="none", api_key="none", base_url="http://127.0.0.1:9/v1")
EMBEDDINGS = OpenAIEmbeddings(api_key="none", base_url="http://127.0.0.1:9/v1")
STORE = InMemoryVectorStore(EMBEDDINGS)
RETRIEVER = STORE.as_retriever()
TEMPLATE = PromptTemplate.from_template("{page_content}")
SEEN: list[Any] = []


class State(TypedDict, total=False):
    text: str
    messages: Annotated[list, add_messages]
    a: Any
    b: Any
    log: Annotated[list[str], operator.add]


def share_a_superstep(one, two) -> bool:
    builder = StateGraph(State)
    builder.add_sequence([("one", one), ("two", two)])
    builder.add_edge(START, "one")
    builder.add_edge("two", END)
    return any(pair.together for pair in explain(builder.compile()).pairs())


def show(node) -> str:
    return str(infer_effects(node, State))


def ask(state):
    return {"b": LLM.invoke(state["text"]).text}


def count_seen(state):
    return {"b": len(SEEN)}


# -- stores, retrievers, embeddings ----------------------------------------------------------------


def retrieve(state):
    return {"a": [doc.page_content for doc in RETRIEVER.invoke(state["text"])]}


def search(state):
    found = STORE.similarity_search(state["text"], k=2)
    return {"a": "\n".join(format_document(doc, TEMPLATE) for doc in found)}


def retrieve_as(state):
    found = STORE.as_retriever(search_kwargs={"k": 2}).invoke(state["text"])
    return {"a": found[0].page_content}


def embed(state):
    return {"a": EMBEDDINGS.embed_query(state["text"])}


def make_a_store(state):
    store = InMemoryVectorStore(EMBEDDINGS)
    store.add_documents([Document(page_content=part) for part in state["text"].split()])
    return {"a": [doc.page_content for doc in store.similarity_search("q")]}


def make_a_store_of_texts(state):
    store = InMemoryVectorStore.from_texts([state["text"]], EMBEDDINGS)
    return {"a": store.as_retriever().invoke("q")[0].page_content}


@pytest.mark.parametrize(
    "node", [retrieve, search, retrieve_as, embed, make_a_store, make_a_store_of_texts]
)
def test_what_only_searches_runs_beside_others(node):
    assert share_a_superstep(node, ask)
    assert share_a_superstep(node, retrieve_other)


def retrieve_other(state):
    return {"b": RETRIEVER.invoke("other")}


def add_documents(state):
    STORE.add_documents([Document(page_content=state["text"])])
    return {"a": 1}


def clear_the_store(state):
    STORE.store.clear()
    return {"a": 1}


def change_a_document(state):
    for doc in RETRIEVER.invoke("q"):
        doc.metadata["seen"] = True
    return {"a": 1}


@pytest.mark.parametrize("node", [add_documents, clear_the_store, change_a_document])
def test_what_changes_a_store_keeps_its_place_before_those_who_search_it(node):
    assert not share_a_superstep(node, retrieve_other)
    assert not share_a_superstep(retrieve_other, node)


def test_two_stores_do_not_meet():
    other = InMemoryVectorStore(EMBEDDINGS)

    def search_another(state):
        return {"b": [doc.page_content for doc in other.similarity_search("q")]}

    assert share_a_superstep(lambda state: {"a": STORE.add_texts([state["text"]])}, ask)
    found = infer_effects(lambda state: {"a": STORE.add_texts([state["text"]])}, State)
    assert found.changes
    assert not {place.owner_key for place in found.changes} & {
        place.owner_key for place in infer_effects(search_another, State).looks_at
    }


class Counting(Embeddings):
    def embed_documents(self, texts):
        SEEN.extend(texts)
        return [[1.0] for _ in texts]

    def embed_query(self, text):
        SEEN.append(text)
        return [1.0]


COUNTED = InMemoryVectorStore(Counting())


class Notes(BaseRetriever):
    asked: int = 0

    def _get_relevant_documents(self, query, *, run_manager):
        self.asked += 1
        return [Document(page_content=query)]


NOTES = Notes()


class Pages(BaseLoader):
    def lazy_load(self):
        SEEN.append(1)
        yield Document(page_content="x")


def search_counted(state):
    return {"a": COUNTED.similarity_search(state["text"])}


def retrieve_counted(state):
    return {"a": COUNTED.as_retriever().invoke(state["text"])}


def make_counted(state):
    return {"a": InMemoryVectorStore(Counting()).similarity_search(state["text"])}


def load_pages(state):
    return {"a": [doc.page_content for doc in Pages().load()]}


@pytest.mark.parametrize("node", [search_counted, retrieve_counted, make_counted, load_pages])
def test_code_of_the_users_that_hangs_on_a_library_is_followed(node):
    assert not share_a_superstep(node, count_seen)


def test_a_retriever_of_the_users_is_followed():
    def look(state):
        return {"b": NOTES.asked}

    assert not share_a_superstep(lambda state: {"a": NOTES.invoke(state["text"])}, look)


def test_a_method_that_somebody_has_replaced_is_not_the_librarys():
    store = InMemoryVectorStore(EMBEDDINGS)
    store.similarity_search = lambda query, **_: SEEN.append(query)

    def node(state):
        return {"a": store.similarity_search(state["text"])}

    assert not share_a_superstep(node, count_seen)


def test_a_loader_whose_method_somebody_has_replaced_is_not_what_its_class_says():
    pages, loader = Lines("x"), Lines("y")
    loader.lazy_load = lambda: iter(SEEN)

    def load(state):
        return {"b": loader.load()}

    def see(state):
        SEEN.append(state["text"])
        return {"a": 1}

    assert not share_a_superstep(see, load)

    def replace(state):
        pages.lazy_load = SEEN.copy
        return {"a": 1}

    assert not share_a_superstep(replace, lambda state: {"b": pages.load()})


# -- tools and tool nodes --------------------------------------------------------------------------


@tool
def answer(question: str):
    """Answer."""
    return {"answer": LLM.invoke(question).text}


@tool
def note(text: str) -> str:
    """Take a note."""
    SEEN.append(text)
    return text


@tool
def leave(text: str, tool_call_id: Annotated[str, InjectedToolCallId]):
    """Leave."""
    message = ToolMessage(text, tool_call_id=tool_call_id)
    return Command(goto="two", update={"messages": [message], "a": text})


@tool
def leave_in_a_list(text: str):
    """Leave."""
    return [Command(goto="two")]


@tool
def confirm(text: str) -> str:
    """Ask a person."""
    return str(interrupt(text))


@tool
def look_at_the_state(text: str, state: Annotated[dict, InjectedState]) -> str:
    """Look."""
    return state["a"]


@tool
def look_at_a_key(text: str, found: Annotated[str, InjectedState("a")]) -> str:
    """Look."""
    return found


@tool
def look_through_the_runtime(text: str, runtime: ToolRuntime) -> str:
    """Look."""
    return runtime.state["a"] + runtime.tool_call_id


class Arguments(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def keep(cls, value):
        SEEN.append(value)
        return value


class Keeper(BaseTool):
    name: str = "keeper"
    description: str = "Keeps."

    def _run(self, text: str) -> str:
        SEEN.append(text)
        return text


CHECKED = StructuredTool.from_function(
    lambda text: text, name="checked", description="-", args_schema=Arguments
)
SEARCH = create_retriever_tool(RETRIEVER, "search", "Searches.")


def test_a_tool_node_does_what_its_tools_do():
    line = "reads {messages}, writes {messages}, looks at"
    assert show(ToolNode([answer])).startswith(line)
    assert show(ToolNode([answer])).endswith("external {model}")
    assert share_a_superstep(ToolNode([answer]), ask)
    assert share_a_superstep(ToolNode([SEARCH]), ask)
    assert infer_effects(ToolNode([SEARCH]), State).external == {"read"}
    assert infer_effects(ToolNode([answer]), State).folds == {"messages"}


@pytest.mark.parametrize("kept", [note, CHECKED, Keeper()])
def test_a_tool_node_keeps_the_order_of_what_its_tools_keep(kept):
    assert not share_a_superstep(ToolNode([answer, kept]), count_seen)


def test_what_surrounds_the_tools_of_a_tool_node_runs_too():
    def handle(error: Exception) -> str:
        SEEN.append(error)
        return "failed"

    def wrap(request, execute):
        SEEN.append(1)
        return execute(request)

    class Own(ToolNode):
        def _func(self, input, config, runtime):
            SEEN.append(1)
            return super()._func(input, config, runtime)

    for node in (
        ToolNode([answer], handle_tool_errors=handle),
        ToolNode([answer], wrap_tool_call=wrap),
        Own([answer]),
    ):
        assert not share_a_superstep(node, count_seen)


@pytest.mark.parametrize("looking", [look_at_the_state, look_at_a_key, look_through_the_runtime])
def test_a_tool_reads_the_keys_that_it_is_given(looking):
    assert infer_effects(ToolNode([looking]), State).reads == {"a", "messages"}


def test_a_tool_node_goes_where_its_tools_go():
    found = infer_effects(ToolNode([leave]), State)
    assert (found.goto, found.writes) == ({"two"}, {"a", "messages"})
    assert infer_effects(ToolNode([leave_in_a_list]), State).goto == {"two"}
    assert "interrupt" in infer_effects(ToolNode([confirm]), State).control
    assert infer_effects(ToolNode([answer]), State).goto == frozenset()


def test_a_tool_that_may_give_anything_may_go_anywhere():
    hidden = {"x": Command(goto="two")}

    @tool
    def pick(name: str):
        """Pick."""
        return hidden[name]

    assert infer_effects(ToolNode([pick]), State).goto


def test_tools_are_found_in_a_table_by_name():
    table = {one.name: one for one in (answer, SEARCH)}

    def run_tools(state):
        found = []
        for call in state["messages"][-1].tool_calls:
            given = table[call["name"]].invoke(call["args"])
            found.append(ToolMessage(content=str(given), tool_call_id=call["id"]))
        return {"messages": found}

    assert share_a_superstep(run_tools, ask)
    table["note"] = note
    assert not share_a_superstep(run_tools, count_seen)


def test_a_tool_node_made_in_a_node_does_what_its_tools_do():
    def run(state):
        found = ToolNode([answer, repeat]).invoke({"messages": state["messages"]})
        return {"a": found["messages"][-1].content}

    def keep(state):
        return {"a": ToolNode([answer, note]).invoke({"messages": state["messages"]})}

    def go(state):
        return ToolNode([leave]).invoke(state)

    assert infer_effects(run, State).external == {"model"}
    assert share_a_superstep(run, ask)
    assert not share_a_superstep(keep, count_seen)
    assert "unknown" in infer_effects(go, State).external


def test_a_graph_with_a_tool_node_is_not_refused():
    builder = StateGraph(State)
    builder.add_node("one", lambda state: {"a": LLM.invoke(state["text"]).text})
    builder.add_node("two", ask)
    builder.add_node("agent", lambda state: {"messages": [LLM.invoke(state["messages"])]})
    builder.add_node("tools", ToolNode([answer]))
    for edge in ((START, "one"), ("one", "two"), ("two", "agent"), ("tools", "agent")):
        builder.add_edge(*edge)
    builder.add_conditional_edges("agent", tools_condition)
    assert explain(builder.compile()).speedup > 1


# -- imports, functions of libraries, the screen ---------------------------------------------------


def test_an_import_inside_of_a_node_is_one_at_the_top(monkeypatch):
    def node(state):
        from langchain_core.prompts import ChatPromptTemplate as Template

        return {"a": (Template.from_template("{text}") | LLM).invoke({"text": state["text"]}).text}

    assert share_a_superstep(node, ask)
    name = "langchain_core.example_selectors.length_based"
    monkeypatch.delitem(sys.modules, name, raising=False)

    def load(state):
        import langchain_core.example_selectors.length_based as loaded

        return {"a": loaded.__name__}

    assert "unknown" not in infer_effects(load, State).external


def test_a_module_of_the_users_is_not_loaded(tmp_path, monkeypatch):
    (tmp_path / "wikipedia.py").write_text("raise SystemExit('it was run')")
    (tmp_path / "own_module_of_a_user.py").write_text("raise SystemExit('it was run')")
    monkeypatch.syspath_prepend(tmp_path)

    def load(state):
        import own_module_of_a_user
        import wikipedia

        return {"a": own_module_of_a_user.x + wikipedia.x}

    assert "unknown" in infer_effects(load, State).external


def test_a_message_is_shown_beside_others():
    def node(state):
        reply = LLM.invoke(state["text"])
        reply.pretty_print()
        return {"a": reply.text}

    assert share_a_superstep(node, ask)


def test_code_of_a_library_is_followed_only_where_all_of_it_is_known(monkeypatch):
    assert infer_effects(ToolNode([SEARCH]), State).external == {"read"}
    monkeypatch.setattr(following, "_HOPELESS", set())
    monkeypatch.setattr(following, "_LONGEST", 1)
    assert "unknown" in infer_effects(ToolNode([SEARCH]), State).external


# -- classes of the user's, databases --------------------------------------------------------------


class Lookup(BaseRetriever):
    k: int = 3

    def _get_relevant_documents(self, query, *, run_manager):
        return STORE.similarity_search(query, k=self.k)


class Shout(BaseTool):
    name: str = "shout"
    description: str = "Shouts."

    def _run(self, text: str) -> str:
        return text.upper()


class Watched(Shout):
    def run(self, *args, **kwargs):
        SEEN.append(args)
        return super().run(*args, **kwargs)


class Lines(BaseLoader):
    def __init__(self, text):
        self.text = text

    def lazy_load(self):
        for line in self.text.splitlines():
            yield Document(page_content=line)


@pytest.mark.parametrize(
    "node",
    [
        lambda state: {"a": Lookup(k=2).invoke(state["text"])[0].page_content},
        lambda state: {"a": Shout().invoke(state["text"])},
        lambda state: {"a": Shout().run(state["text"])},
        lambda state: {"a": [doc.page_content for doc in Lines(state["text"]).load()]},
    ],
)
def test_an_instance_made_in_a_node_does_what_its_body_does(node):
    assert share_a_superstep(node, ask)


@pytest.mark.parametrize(
    "node",
    [
        lambda state: {"a": Keeper().invoke(state["text"])},
        lambda state: {"a": Keeper().run(state["text"])},
        lambda state: {"a": Watched().run(state["text"])},
    ],
)
def test_what_such_a_body_or_a_method_around_it_changes_is_seen(node):
    assert not share_a_superstep(node, count_seen)


def select(state):
    connection = sqlite3.connect("none.db")
    cursor = connection.cursor()
    cursor.execute("SELECT name, count(*) FROM t WHERE name = ?", (state["text"],))
    rows = cursor.fetchall()
    connection.close()
    return {"a": [row[0] for row in rows]}


def select_in_a_context(state):
    with sqlite3.connect("none.db") as connection:
        connection.row_factory = sqlite3.Row
        return {"a": [dict(row) for row in connection.execute("SELECT * FROM t")]}


def insert(state):
    with sqlite3.connect("none.db") as connection:
        connection.execute("INSERT INTO t VALUES (?)", (state["text"],))
    return {"a": 1}


def test_a_select_is_a_read_and_an_insert_keeps_its_place():
    for node in (select, select_in_a_context):
        assert infer_effects(node, State).external == {"read"}
        assert share_a_superstep(node, ask)
    assert not share_a_superstep(insert, lambda state: {"b": select(state)["a"]})


@pytest.mark.parametrize(
    "statement",
    [
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "SELECT 1; DROP TABLE t",
        "SELECT own_function(name) FROM t",
        "PRAGMA user_version = 4",
        "SELECT * FROM t FOR UPDATE",
    ],
)
def test_other_statements_may_write(statement):
    def node(state):
        return {"a": sqlite3.connect("none.db").execute(statement).fetchall()}

    assert "write" in infer_effects(node, State).external


def keep_row(cursor, row):
    SEEN.append(row)
    return row


def test_code_plugged_into_a_connection_is_not_overlooked():
    def with_a_factory(state):
        connection = sqlite3.connect("none.db")
        connection.row_factory = keep_row
        return {"a": connection.execute("SELECT 1").fetchall()}

    def with_a_function(state):
        connection = sqlite3.connect("none.db")
        connection.create_function("lower", 1, SEEN.append)
        return {"a": connection.execute("SELECT lower('x')").fetchall()}

    opened = sqlite3.connect(":memory:")

    def shared(state):
        return {"a": opened.execute("SELECT 1").fetchall()}

    for node in (with_a_factory, with_a_function, shared):
        assert "unknown" in infer_effects(node, State).external
    opened.close()


# -- addresses that are only asked -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "contact"),
    [
        ("https://google.serper.dev/search", "read"),
        ("https://api.openai.com/v1/chat/completions", "model"),
        ("https://google.serper.dev.example.com/search", "write"),
        ("https://example.com/save", "write"),
    ],
)
def test_a_post_to_a_search_engine_or_a_model_asks(address, contact):
    def post(state):
        return {"a": requests.post(address, json={"q": state["text"]}).json()}

    def put(state):
        return {"a": requests.put(address, json={"q": state["text"]}).json()}

    def request(state):
        return {"a": requests.request("POST", address, json={"q": state["text"]}).json()}

    assert infer_effects(post, State).external == {contact}
    assert infer_effects(request, State).external == {contact}
    assert infer_effects(put, State).external == {"write"}


def test_an_address_that_a_node_changes_may_be_any():
    settings = {"url": "https://google.serper.dev/search"}

    def change(state):
        settings["url"] = "https://example.com/save"
        return {"a": 1}

    def post(state):
        return {"b": requests.post(settings["url"], json={}).json()}

    assert not share_a_superstep(change, post)


# -- tool nodes that start early -------------------------------------------------------------------


@tool
def repeat(text: str) -> str:
    """Repeat."""
    return text * 2


@tool
def add_the_text(text: str, more: Annotated[str, InjectedState("text")]) -> str:
    """Add."""
    return text + more


def graph_with(*tools):
    builder = StateGraph(State)
    builder.add_node("one", lambda state: {"a": state["text"].upper()})
    builder.add_node("tools", ToolNode(list(tools)))
    builder.add_node("last", lambda state: {"b": [m.content for m in state["messages"]]})
    for edge in ((START, "one"), ("one", "tools"), ("tools", "last"), ("last", END)):
        builder.add_edge(*edge)
    return builder


def asking_for(*tools):
    calls = [{"name": one.name, "args": {"text": "x"}, "id": one.name} for one in tools]
    return {"text": "t", "messages": [AIMessage("", id="1", tool_calls=calls)]}


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_a_tool_node_gives_what_it_gave(mode):
    builder = graph_with(repeat, add_the_text)
    assert_equivalent(builder, [asking_for(repeat, add_the_text)], mode=mode, isolate="never")


async def test_a_tool_node_starts_early():
    builder, given = graph_with(repeat, add_the_text), asking_for(repeat, add_the_text)
    graph = parallelize(builder, mode="exact").compile()
    assert graph.invoke(given)["b"] == ["", "xx", "xt"]
    assert (await graph.ainvoke(given))["b"] == ["", "xx", "xt"]
    counts = graph.parallel_report.runtime.by_node["tools"]
    assert (counts.early, counts.hit) == (2, 2)


def test_a_tool_that_sees_its_task_runs_in_its_own_turn():
    builder = graph_with(repeat, look_through_the_runtime)
    graph = parallelize(builder, mode="exact").compile()
    given = asking_for(repeat, look_through_the_runtime)
    assert graph.invoke(given)["b"] == ["", "xx", "Tlook_through_the_runtime"]
    assert "tools" not in graph.parallel_report.runtime.by_node


# -- replies and sessions --------------------------------------------------------------------------


def fetch(state):
    session = requests.Session()
    session.headers.update({"User-Agent": "none"})
    reply = session.get(state["text"], timeout=5)
    if reply.status_code != 200 or not reply.ok:
        return {"a": reply.reason}
    return {"a": [reply.text[:80].strip(), reply.headers.get("Content-Type", "").lower()]}


SESSION = requests.Session()


def set_a_header(state):
    SESSION.headers["Authorization"] = state["text"]
    return {"a": 1}


def use_the_session(state):
    return {"b": SESSION.get("http://127.0.0.1:9").text}


def sign(request):
    SEEN.append(request)
    return request


def fetch_signed(state):
    session = requests.Session()
    session.auth = sign
    return {"a": session.get(state["text"]).text}


def test_a_reply_is_data_and_the_headers_of_a_session_are_its_own():
    assert infer_effects(fetch, State).external == {"read"}
    assert share_a_superstep(fetch, ask)
    assert not share_a_superstep(set_a_header, use_the_session)
    assert not share_a_superstep(fetch_signed, count_seen)


# -- what works for one thread ---------------------------------------------------------------------


class LocalModel:
    """Stands for a model in this process."""

    __module__ = "sentence_transformers.models"


def test_a_model_in_this_process_answers_one_node_at_a_time():
    store = InMemoryVectorStore(EMBEDDINGS)
    store.model = LocalModel()

    def one(state):
        return {"a": store.similarity_search(state["text"])}

    assert infer_effects(one, State).resources == {"LocalModel"}
    assert not share_a_superstep(one, lambda state: {"b": store.similarity_search("x")})
    assert share_a_superstep(one, ask)


def test_a_connection_that_belongs_to_a_thread_stays_there():
    connection = sqlite3.connect(":memory:")
    store = InMemoryVectorStore(EMBEDDINGS)
    store.connection = connection
    found = infer_effects(lambda state: {"a": store.similarity_search(state["text"])}, State)
    connection.close()
    assert "unknown" in found.external
