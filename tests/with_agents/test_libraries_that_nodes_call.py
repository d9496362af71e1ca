"""Nodes that search, load, split, retrieve and compute with tables: what public graphs do."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from bs4 import BeautifulSoup
from langchain_community.document_loaders import TextLoader, WebBaseLoader, WikipediaLoader
from langchain_community.retrievers import BM25Retriever
from langchain_community.tools import DuckDuckGoSearchRun
from langchain_community.utilities import DuckDuckGoSearchAPIWrapper, GoogleSerperAPIWrapper
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tavily import TavilySearch
from langchain_text_splitters import CharacterTextSplitter, RecursiveCharacterTextSplitter
from langgraph.graph import END, START, StateGraph
from rich.console import Console
from rich.panel import Panel
from tavily import TavilyClient
from typing_extensions import TypedDict

from langgraph_parallel import explain, infer_effects, parallelize

LLM = ChatOpenAI(model="none", api_key="none", base_url="http://127.0.0.1:9/v1")
EMBEDDINGS = OpenAIEmbeddings(api_key="none", base_url="http://127.0.0.1:9/v1")
TAVILY = TavilyClient(api_key="none")
SEARCH = TavilySearch(max_results=2, tavily_api_key="none")
SERPER = GoogleSerperAPIWrapper(serper_api_key="none")
DOCUMENTS = [Document(page_content="a b"), Document(page_content="c")]
BM25 = BM25Retriever.from_documents(DOCUMENTS)
PRICES = pd.DataFrame({"name": ["a", "b"], "price": [1, 2]})
CONSOLE = Console()
SEEN: list[Any] = []


class State(TypedDict, total=False):
    text: str
    table: pd.DataFrame
    a: Any
    b: Any


def pair_of(one, two):
    builder = StateGraph(State)
    builder.add_sequence([("one", one), ("two", two)])
    builder.add_edge(START, "one")
    builder.add_edge("two", END)
    return next(iter(explain(builder.compile()).pairs()))


def ask(state):
    return {"b": LLM.invoke(state["text"]).text}


def count_seen(state):
    return {"b": len(SEEN)}


# -- what only asks or computes --------------------------------------------------------------------


def search_with_a_client(state):
    found = TAVILY.search(query=state["text"], max_results=2)
    return {"a": [one["content"] for one in found.get("results", [])]}


def search_with_a_tool(state):
    return {"a": SEARCH.invoke({"query": state["text"]})["results"][0]["content"]}


def search_with_a_tool_made_here(state):
    return {"a": DuckDuckGoSearchRun().run(state["text"])}


def search_with_a_wrapper(state):
    return {"a": SERPER.run(state["text"])}


def search_by_post(state):
    headers = {"X-API-KEY": "none", "Content-Type": "application/json"}
    body = json.dumps({"q": state["text"]})
    reply = requests.post("https://google.serper.dev/search", headers=headers, data=body)
    return {"a": reply.json()["organic"]}


def load_and_split(state):
    pages = WebBaseLoader(state["text"]).load()
    parts = RecursiveCharacterTextSplitter(chunk_size=100).split_documents(pages)
    return {"a": [part.page_content for part in parts]}


def retrieve_by_words(state):
    return {"a": "\n".join(doc.page_content for doc in BM25.invoke(state["text"]))}


def parse_a_page(state):
    soup = BeautifulSoup(requests.get(state["text"]).text, "html.parser")
    for part in soup(["script", "style"]):
        part.decompose()
    links = [link["href"] for link in soup.find_all("a", href=True)]
    return {"a": [soup.title.string.strip(), soup.get_text(strip=True), *links]}


def compute_with_a_table(state):
    table = PRICES[PRICES["price"] > 1].copy()
    table["twice"] = table["price"] * 2
    grouped = table.groupby("name")["twice"].mean().reset_index().sort_values("twice")
    return {"a": [grouped.to_string(index=False), float(np.mean(table["price"]))]}


def read_a_table(state):
    rows = pd.read_csv(state["text"]).dropna().to_dict(orient="records")
    return {"a": [f"{row['name']}: {row['price']}" for row in rows]}


def show_in_a_panel(state):
    CONSOLE.print(Panel(state["text"], title="text"))
    return {"a": 1}


@pytest.mark.parametrize(
    "node",
    [
        *(search_with_a_client, search_with_a_tool, search_with_a_tool_made_here),
        *(search_with_a_wrapper, search_by_post, load_and_split, retrieve_by_words),
        *(parse_a_page, compute_with_a_table, read_a_table, show_in_a_panel),
    ],
)
def test_what_asks_or_computes_runs_beside_others(node):
    assert pair_of(node, ask).together
    assert pair_of(ask, node).together


# -- what keeps its place --------------------------------------------------------------------------


class Watched(BaseRetriever):
    asked: int = 0

    def _get_relevant_documents(self, query, *, run_manager):
        self.asked += 1
        return DOCUMENTS


class WatchedWrapper(DuckDuckGoSearchAPIWrapper):
    def run(self, query):
        SEEN.append(query)
        return query


class OwnSearch(DuckDuckGoSearchRun):
    def _run(self, query, run_manager=None):
        SEEN.append(query)
        return query


class Card:
    def __rich__(self):
        SEEN.append(1)
        return "card"


def measure(text):
    SEEN.append(text)
    return len(text)


MEASURED = CharacterTextSplitter(length_function=measure)
WRAPPED = DuckDuckGoSearchRun(api_wrapper=WatchedWrapper())
OWN = OwnSearch()
FAKED = TavilyClient(api_key="none")
FAKED.search = SEEN.append


@pytest.mark.parametrize(
    "node",
    [
        lambda state: {"a": MEASURED.split_text(state["text"])},
        lambda state: {"a": CharacterTextSplitter(length_function=measure).split_text("x")},
        lambda state: {"a": WRAPPED.invoke(state["text"])},
        lambda state: {"a": OWN.run(state["text"])},
        lambda state: {"a": OwnSearch().run(state["text"])},
        lambda state: {"a": FAKED.search(state["text"])},
        lambda state: {"a": CONSOLE.print(Card())},
        lambda state: {"a": PRICES["price"].apply(SEEN.append).tolist()},
    ],
)
def test_code_of_the_users_on_a_library_keeps_its_place(node):
    assert not pair_of(node, count_seen).together


def assign_a_column(state):
    PRICES["more"] = 1
    return {"a": 1}


def assign_a_place(state):
    PRICES.loc[0, "price"] = 9
    return {"a": 1}


def drop_in_place(state):
    PRICES.drop(columns="price", inplace=True)
    return {"a": 1}


def assign_through_a_view(state):
    values = PRICES["price"].values
    values[0] = 9
    return {"a": 1}


@pytest.mark.parametrize(
    "node", [assign_a_column, assign_a_place, drop_in_place, assign_through_a_view]
)
def test_a_table_that_a_node_changes_is_a_place(node):
    def look(state):
        return {"b": PRICES.to_dict()}

    assert not pair_of(node, look).together
    assert not pair_of(look, node).together


def test_a_table_of_the_state_is_changed_in_place():
    def node(state):
        state["table"]["more"] = 1
        return {"a": 1}

    assert infer_effects(node, State).mutates == {"table"}
    found = infer_effects(lambda state: {"a": state["table"].head().to_string()}, State)
    assert (found.reads, found.mutates, found.external) == ({"table"}, set(), set())


def test_documents_of_a_retriever_are_its_own():
    def mark(state):
        for doc in BM25.invoke("a"):
            doc.metadata["seen"] = True
        return {"a": 1}

    def add(state):
        BM25.docs.append(Document(page_content="x"))
        return {"a": 1}

    for node in (mark, add):
        assert not pair_of(node, lambda state: {"b": BM25.invoke("b")}).together


def test_the_language_of_wikipedia_is_one_for_all():
    def load_in(language):
        def node(state):
            return {"ab"[language == "de"]: WikipediaLoader(state["text"], lang=language).load()}

        return node

    assert not pair_of(load_in("en"), load_in("de")).together


def test_a_loader_that_outlives_its_node_keeps_cookies():
    loader = WebBaseLoader("http://127.0.0.1:9")

    def load(state):
        return {"a": loader.load()}

    assert not pair_of(load, lambda state: {"b": loader.load()}).together
    assert not pair_of(load, lambda state: {"b": loader.session.get("http://x").text}).together
    made = [lambda state, key=key: {key: WebBaseLoader("http://x").load()} for key in "ab"]
    assert pair_of(*made).together


def test_a_recording_console_is_a_place():
    console = Console(record=True)

    def show(state):
        return {"a": console.print(state["text"])}

    assert not pair_of(show, lambda state: {"b": console.export_text()}).together
    assert not pair_of(show, lambda state: {"b": console.print("x")}).together


def test_a_file_is_written_before_it_is_loaded(tmp_path):
    path = str(tmp_path / "notes.txt")

    def write(state):
        PRICES.to_csv(path)
        return {"a": 1}

    assert not pair_of(write, lambda state: {"b": TextLoader(path).load()}).together


def test_answers_stay_the_same():
    def total(state):
        return {"b": float(PRICES.groupby("name")["price"].sum().max())}

    builder = StateGraph(State)
    builder.add_sequence([("one", retrieve_by_words), ("two", total)])
    builder.add_edge(START, "one")
    builder.add_edge("two", END)
    expected = builder.compile().invoke({"text": "a"})
    for mode in ("fanout", "exact"):
        assert parallelize(builder, mode=mode).compile().invoke({"text": "a"}) == expected
