"""`python -m langgraph_parallel explain` finds graphs as authors keep them, or says why not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import langchain_openai  # noqa: F401  # loaded once, not within some test's time
import pytest

from langgraph_parallel.__main__ import main
from langgraph_parallel.reading.targets import KEY_VARIABLES

ROOT = Path(__file__).parents[3]

APP = """
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

print("a banner")
llm = ChatOpenAI(model="any")


class State(TypedDict, total=False):
    text: str
    topic: str
    mood: str


def find_topic(state: State):
    return {"topic": llm.invoke(state["text"]).text}


def find_mood(state: State):
    return {"mood": llm.invoke(state["text"]).text}


builder = StateGraph(State)
builder.add_sequence([find_topic, find_mood])
builder.add_edge(START, "find_topic")
builder.add_edge("find_mood", END)
graph = builder.compile()


def make_graph(name="any"):
    return builder


def make_for(user):
    return builder


async def make_later():
    return builder


def make_nothing():
    raise RuntimeError("no database\\nsecond line")


number = 3
"""


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch, tmp_path):
    """Give each test its own import state, and no keys."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("app.py").write_text(APP)
    return tmp_path


def explain(capsys, *arguments):
    """Run the command and return its status, output and error output."""
    status = main(["explain", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("name", ["graph", "builder", "make_graph"])
def test_target_may_be_compiled_or_not_or_a_function(app, capsys, name):
    status, out, err = explain(capsys, f"app.py:{name}")
    assert status == 0
    assert out.startswith("Parallel: 2 -> 1 calls, predicted speed-up 2.00x")
    assert err == "a banner\n"


def test_mode_is_that_of_parallelize(app, capsys):
    status, out, _ = explain(capsys, "app.py:graph", "--mode", "exact", "--json")
    assert status == 0
    (region,) = json.loads(out)["graphs"]["graph"]["regions"]
    assert region["levels"] == [["find_topic", "find_mood"]]


def test_process_needs_no_key_and_prints_nothing_but_json(app):
    env = {k: v for k, v in os.environ.items() if k not in KEY_VARIABLES}
    command = [sys.executable, "-m", "langgraph_parallel", "explain", "app:graph", "--json"]
    env["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(command, env=env, cwd=app, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["graphs"]["graph"]["speedup"] == 2.0
    command[-2] = "app:nothing"
    done = subprocess.run(command, env=env, cwd=app, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.endswith("error: app has no 'nothing'; graphs in it: builder, graph\n")


def test_placeholder_keys_never_replace_yours_and_do_not_stay(app, capsys, monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "mine")
    Path("keys.py").write_text(
        "import os\nfrom app import graph\n"
        "assert os.environ['GROQ_API_KEY'] == 'mine'\nassert os.environ['TAVILY_API_KEY']\n"
    )
    monkeypatch.syspath_prepend(str(app))
    assert explain(capsys, "keys.py:graph")[0] == 0
    assert os.environ["GROQ_API_KEY"] == "mine"
    assert not {"TAVILY_API_KEY", "OPENAI_API_KEY"} & os.environ.keys()


def test_configuration_explains_each_graph_or_the_one_named(app, capsys):
    config = {
        "dependencies": ["./lib"],
        "graphs": {"one": "./app.py:graph", "two": {"path": "./src/app.py:builder"}},
    }
    Path("langgraph.json").write_text(json.dumps(config))
    Path("lib").mkdir()
    Path("lib/shared_names.py").write_text("TOPIC = 'topic'\n")
    Path("src").mkdir()
    Path("src/app.py").write_text(
        f"from shared_names import TOPIC\n{APP}\nbuilder = StateGraph(State)\n"
        "builder.add_node(TOPIC, find_topic)\nbuilder.add_edge(START, TOPIC)\n"
    )
    for target in (".", "langgraph.json"):
        status, out, _ = explain(capsys, target, "--json")
        assert status == 0
        found = json.loads(out)["graphs"]
        assert [(name, graph["is_parallel"]) for name, graph in found.items()] == [
            ("one", True),
            ("two", False),
        ]
    _, out, _ = explain(capsys, ".")
    assert out.startswith("# one\nParallel:")
    assert "\n# two\nNothing was made parallel." in out
    _, out, _ = explain(capsys, ".", "--graph", "two", "--json")
    assert list(json.loads(out)["graphs"]) == ["two"]
    status, _, err = explain(capsys, ".", "--graph", "three")
    assert (status, err) == (1, "error: . has no graph 'three'; it has one, two\n")


def test_file_alone_explains_its_graphs(app, capsys):
    _, out, _ = explain(capsys, "app.py", "--json")
    assert list(json.loads(out)["graphs"]) == ["builder", "graph"]


def test_file_in_a_package_may_import_its_neighbors(app, capsys):
    Path("agents_here/inner").mkdir(parents=True)
    for folder in ("agents_here", "agents_here/inner"):
        Path(folder, "__init__.py").touch()
    Path("agents_here/base.py").write_text(APP)
    Path("agents_here/inner/main.py").write_text("from ..base import graph\n")
    status, out, _ = explain(capsys, "agents_here/inner/main.py:graph")
    assert (status, out[:9]) == (0, "Parallel:")


def test_file_with_the_name_of_a_loaded_module_is_not_that_module(app, capsys):
    Path("json.py").write_text(APP)
    assert explain(capsys, "json.py:graph")[0] == 0
    assert sys.modules["json"] is json


def test_mermaid_and_html(app, capsys):
    status, out, _ = explain(capsys, "app.py:graph", "--mermaid")
    assert (status, out.count("flowchart TD"), out.count("==>")) == (0, 1, 0)
    status, out, _ = explain(capsys, "app.py:graph", "--html", "page.html")
    assert (status, out) == (0, "wrote page.html\n")
    assert "find_mood" in Path("page.html").read_text()
    status, out, err = explain(capsys, "app.py:graph", "--html", "no/such/page.html")
    assert (status, out) == (1, "")
    assert err.endswith("error: cannot write no/such/page.html: No such file or directory\n")


def test_durations_weigh_and_are_checked(app, capsys):
    Path("seconds.json").write_text('{"find_topic": 3, "find_mood": 1}')
    _, out, _ = explain(capsys, "app.py:graph", "--durations", "seconds.json")
    assert out.startswith("Parallel: 4 -> 3 s, predicted speed-up 1.33x")
    for text in ('{"find_topic": -1}', '["find_topic"]', '{"find_topic": "long"}', '{"a": NaN}'):
        Path("seconds.json").write_text(text)
        status, _, err = explain(capsys, "app.py:graph", "--durations", "seconds.json")
        assert (status, err.splitlines()[-1][:45]) == (
            1,
            "error: seconds.json must hold seconds (>= 0) ",
        )
    status, _, err = explain(capsys, "app.py:graph", "--durations", "none.json")
    assert err == "error: cannot read none.json: No such file or directory\n"


def test_unknown_calls_may_be_trusted(app, capsys):
    asks = '"mood": llm'
    Path("app.py").write_text("import gc\n" + APP.replace(asks, '"mood": gc.get_count() or llm'))
    _, out, _ = explain(capsys, "app.py:graph")
    assert out.startswith("Nothing was made parallel.")
    _, out, _ = explain(capsys, "app.py:graph", "--unknown-calls", "independent")
    assert out.startswith("Parallel: 2 -> 1 calls")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("none.py:graph", "there is no file none.py"),
        ("app.py:nothing", "app.py has no 'nothing'; graphs in it: builder, graph"),
        (
            "app.py:number",
            "app.py:number is of type int, not a graph or a function that",
        ),
        ("app.py:State", "app.py:State is of type _TypedDictMeta, not a graph"),
        ("app.py:make_for", "app.py:make_for is a function that needs user; name one without"),
        (
            "app.py:make_nothing",
            "importing app.py:make_nothing() failed: RuntimeError: no database",
        ),
        ("app.py:make_later", "app.py:make_later() returned a coroutine, not a graph"),
        (
            "no_such_package.app:graph",
            "importing no_such_package.app failed: ModuleNotFoundError: ",
        ),
        ("broken.py:graph", "importing "),
        ("leaves.py:graph", "importing "),
        ("plain.py", "plain.py has no graph at its top level"),
        ("notes.txt:graph", "importing notes.txt failed: ModuleNotFoundError"),
        ("./notes.txt:graph", "notes.txt is not a Python file"),
        ("app", "'app' names no graph; use app.py:graph, package.module:graph or langgraph.json"),
        (".", ". has no langgraph.json; name a graph, such as ./app.py:graph"),
        ("none.json", "there is no file none.json"),
        ("bad.json", "bad.json is not JSON: "),
        ("empty.json", 'empty.json has no "graphs"'),
        ("odd.json", "graph 'one' of odd.json must be \"file.py:name\", not 3"),
    ],
)
def test_broken_target_gives_one_line(app, capsys, target, message):
    Path("broken.py").write_text("def f(:\n")
    Path("leaves.py").write_text("import sys\nsys.exit('set a key\\nand more')\n")
    Path("plain.py").write_text("x = 1\n")
    Path("notes.txt").write_text("")
    Path("bad.json").write_text("{")
    Path("empty.json").write_text("{}")
    Path("odd.json").write_text('{"graphs": {"one": 3}}')
    status, out, err = explain(capsys, target)
    assert (status, out) == (1, "")
    (line,) = [line for line in err.splitlines() if line != "a banner"]
    assert line.startswith(f"error: {message}")
    if target == "broken.py:graph":
        assert "broken.py failed: SyntaxError: " in line
    if target == "leaves.py:graph":
        assert line.endswith("leaves.py failed: SystemExit: set a key")


def test_file_that_failed_can_be_imported_again(app, capsys):
    Path("twice.py").write_text("raise ValueError\n")
    assert explain(capsys, "twice.py:graph")[0] == 1
    Path("twice.py").write_text(APP + "\n# longer\n")
    assert explain(capsys, "twice.py:graph")[0] == 0
