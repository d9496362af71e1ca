"""From statements to a database to what they do: one that certainly only asks is a read.

    conn = sqlite3.connect(path)                 a connection of the node's own
    rows = conn.execute("SELECT ...", (name,))   reads; anything else writes
    return {"rows": rows.fetchall()}

A connection that outlives the node may belong to one thread, and has a state of its own: it is not
known here.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final

from langgraph_parallel.inference.calls.data_families import is_understood
from langgraph_parallel.inference.code.datamodel import is_users
from langgraph_parallel.inference.code.family_tables import (
    PANDAS,
    ROWS,
    Connection,
)
from langgraph_parallel.inference.code.gentle import library_name
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Object,
    Value,
    join,
)
from langgraph_parallel.inference.objects.objects import Typed
from langgraph_parallel.locations import world

_CONNECTS: Final = frozenset(
    {
        *("_sqlite3.connect", "sqlite3.connect", "sqlite3.dbapi2.connect", "psycopg2.connect"),
        *("psycopg.connection.Connection.connect", "mysql.connector.connect"),
        *("mysql.connector.pooling.connect", "pymysql.connect", "pymysql.connections.Connect"),
    }
)
"""Functions that open a connection to a database."""
_PLUGS: Final = frozenset(
    {"factory", "detect_types", "row_factory", "cursor_factory", "connection_factory", "conv"}
)
"""Arguments by which code of the user's gets into a connection."""
_FUNCTIONS: Final = (
    "abs avg cast coalesce concat count date datetime distinct exists group_concat ifnull in iif "
    "instr json_extract julianday length like lower ltrim max min nullif over printf replace round "
    "rtrim strftime string_agg substr substring sum time to_char total trim upper values year month"
)
_KNOWN: Final = frozenset(_FUNCTIONS.split())
_WRITING: Final = re.compile(
    r"\b(insert|update|delete|drop|create|alter|into|replace\s+into|attach|vacuum|truncate|merge"
    r"|call|lock|share|grant|copy|set|reindex|analyze|begin|commit)\b",
    re.IGNORECASE,
)
_CALLED: Final = re.compile(r"(\w+)\s*\(")
_ASKING: Final = re.compile(r"\s*(select|with)\b", re.IGNORECASE)
_TEXTS: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")


def connect(frame: Frame, function: Any, given: Arguments) -> Value | None:
    """Return a connection to a database; None when `function` opens none that is known."""
    if library_name(function) not in _CONNECTS or given.unpacked or _PLUGS & given.named.keys():
        return None
    if not is_understood(given.all) or _has_adapters():
        return None
    frame.use(given.all, given.node)
    where = frame.where(given.node)
    frame.recorder.look(world("database"), where)
    frame.recorder.contact("read", "opens a database", where)
    return frozenset({Object(Connection)})


def _has_adapters() -> bool:
    """Tell whether the user has taught the database module to convert values."""
    module = sys.modules.get("sqlite3")
    tables = (getattr(module, name, {}) for name in ("adapters", "converters"))
    return any(is_users(function) for table in tables for function in table.values())


def database_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a method of a connection or cursor gives; None for any other receiver."""
    if not isinstance(atom, Object) or atom.cls not in (Connection, ROWS.made):
        return None
    if name in ("execute", "executemany", "executescript"):
        return _execute(frame, name, given)
    if atom.cls is ROWS.made:
        return None
    if name == "cursor" and not given.all:
        return frozenset({Object(ROWS.made)})
    if name in ("close", "commit", "rollback") and not given.all:
        return NONE  # what was written has kept its place by then
    what = f"calls .{name}() of a connection"
    return unknown(frame, what, join(frozenset({atom}), given.all), given.node)


def _execute(frame: Frame, name: str, given: Arguments) -> Value:
    where = frame.where(given.node)
    asks = name == "execute" and only_asks(given)
    if not is_understood(given.all):
        return unknown(frame, f"calls .{name}()", given.all, given.node)
    used = frame.use(given.all, given.node)
    frame.escape(used, f"passed to .{name}()", where)
    frame.recorder.look(world("database"), where)
    if asks:
        frame.recorder.contact("read", f".{name}() of a SELECT is a read call", where)
    else:
        frame.recorder.change(world("database"), where, SCALAR)
        frame.recorder.contact("write", f".{name}() may write to a database", where)
    return frozenset({Object(ROWS.made)})


def only_asks(given: Arguments) -> bool:
    """Tell whether a call is given a statement that certainly changes nothing."""
    statement = given.positional[0] if given.positional else NOTHING
    texts = strings_of(statement)
    return bool(texts) and all(map(_only_asks, texts or ()))


def _only_asks(text: str) -> bool:
    """Tell whether one statement is a SELECT that calls nothing but common functions."""
    plain = _TEXTS.sub("''", text)
    if ";" in plain.rstrip().rstrip(";") or "--" in plain or "/*" in plain:
        return False
    called = {name.lower() for name in _CALLED.findall(plain)}
    return bool(_ASKING.match(plain)) and not _WRITING.search(plain) and called <= _KNOWN


def read_frame(frame: Frame, function: Any, given: Arguments) -> Value | None:
    """Return what `pd.read_sql(...)` gives for a SELECT; None for any other call."""
    name = library_name(function)
    if not name.startswith("pandas.") or not name.endswith((".read_sql", ".read_sql_query")):
        return None
    rest = given.positional[1:] + tuple(given.named.values())
    opened = frozenset({Object(Connection)})
    if opened not in rest or not only_asks(given) or not is_understood(given.all):
        return None
    frame.recorder.look(world("database"), frame.where(given.node))
    frame.recorder.contact("read", "reads a database", frame.where(given.node))
    return frozenset({Object(PANDAS.made)})
