# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   ruff: noqa:B018,D100,N999
# ---

# %% [markdown]
# # Make a LangGraph graph parallel
#
# Agents are easiest to write as a sequence: one node after another. But then every node waits for
# all nodes before it, also for those whose result it never uses. `parallelize(graph)` reads the
# code of the nodes, finds which of them really depend on one another, and runs the rest side by
# side. The answers stay the same.
#
# This notebook needs no GPU, no key and no network. It starts an *embedded engine* that answers
# like an OpenAI server, with the timing of an 8-billion-parameter model on one GPU.

# %%
import sqlite3
import time

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import Effects, parallelize
from langgraph_rsm.emulation import serve

server = serve("gpu-8b")
server.start()
llm = ChatOpenAI(base_url=server.base_url, model="gpu-8b", api_key="none", max_tokens=80)

# %% [markdown]
# ## A sequential graph
#
# Five nodes prepare an answer to a customer's letter.


# %%
class Letter(TypedDict, total=False):
    """The state: each node adds one key."""

    text: str
    summary: str
    mood: str
    product: str
    risks: str
    reply: str


def summarize(state: Letter) -> Letter:
    return {"summary": llm.invoke(f"Summarize: {state['text']}").text}


def find_mood(state: Letter) -> Letter:
    return {"mood": llm.invoke(f"How does the writer feel? {state['text']}").text}


def find_product(state: Letter) -> Letter:
    return {"product": llm.invoke(f"Which product is it about? {state['text']}").text}


def find_risks(state: Letter) -> Letter:
    return {"risks": llm.invoke(f"What may go wrong next? {state['summary']}").text}


def reply(state: Letter) -> Letter:
    notes = [state["summary"], state["mood"], state["product"], state["risks"]]
    return {"reply": llm.invoke("Answer the letter. Notes: " + "; ".join(notes)).text}


builder = StateGraph(Letter)
builder.add_sequence([summarize, find_mood, find_product, find_risks, reply])
builder.add_edge(START, "summarize")
builder.add_edge("reply", END)
graph = builder.compile()

# %% [markdown]
# ## The same graph, parallel
#
# One line. `graph` itself is not changed. The report says what runs together, what does not, and
# why, with the line of code that decides it.

# %%
fast = parallelize(graph)
report = fast.parallel_report
print(report)

# %% [markdown]
# `find_risks` needs the summary, and `reply` needs everything; the other nodes only read the
# letter. A notebook draws the graph before and after:

# %%
report

# %% [markdown]
# The same drawing as [Mermaid](https://mermaid.live) text, for a README or a pull request. Thick
# edges are a join: the node waits for all of them.

# %%
print(report.before)
print()
print(report.after)

# %% [markdown]
# ## How much faster is it?

# %%
letter = {"text": "My new lamp hums. I like it, but I cannot sleep. Ada"}
llm.invoke("Hello")  # opens the connection

start = time.perf_counter()
slow = graph.invoke(letter)
slow_s = time.perf_counter() - start

start = time.perf_counter()
quick = fast.invoke(letter)
quick_s = time.perf_counter() - start

print(f"sequential {slow_s:.2f} s, parallel {quick_s:.2f} s: {slow_s / quick_s:.2f}x")
print(f"predicted {report.speedup:.2f}x; same answer: {quick == slow}")

# %% [markdown]
# ## What if a node stays in its place?
#
# What the analysis does not understand keeps its place, so that no answer can change. Here a node
# asks a database. The report names the call and the line, says what it costs, and gives the
# declaration that frees the node.

# %%
catalog = sqlite3.connect(":memory:", check_same_thread=False)


def look_up(state: Letter) -> Letter:
    found = catalog.execute("SELECT name FROM products WHERE ? LIKE name", [state["text"]])
    return {"product": f"{found.fetchone()}"}


other = StateGraph(Letter)
other.add_sequence([summarize, look_up, find_mood])
other.add_edge(START, "summarize")
for blocker in parallelize(other).parallel_report.blockers():
    print(blocker)

# %% [markdown]
# The query only reads, so the declaration is true. Put it above the function, or hand it over:

# %%
declared = Effects(reads={"text"}, writes={"product"}, external="read")
report = parallelize(other, effects={"look_up": declared}).parallel_report
print(report.regions[0].levels, f"{report.speedup:.2f}x")

# %% [markdown]
# For an application of yours, the same report without running anything:
#
# ```console
# $ python -m langgraph_parallel explain app.py:graph
# ```

# %%
server.stop()
