"""The documented table of calls whose effect is known, by qualified name.

The name only says where to look: `gentle.library_name` gives it to the very object that stands
there in the library and to no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from langgraph_parallel.effects import External

RESULTS: Final = frozenset(
    {
        *(
            "scalar",
            "none",
            "data",
            "message",
            "messages",
            "fresh",
            "elements",
            "parts",
            "entries",
            "opaque",
        ),
        *("shared", "value", "object", "container", "rows", "listed"),
    }
)
"""What a call gives; any other word is the dotted name of the class of it.

`scalar`: an immutable value. `none`: None. `data`: plain data made from the arguments. `message`: a
message. `messages`: a new list of messages. `fresh`: a new container of the arguments' elements.
`elements`: a part of an argument. `parts`: a new list of the arguments. `entries`: what the
receiver holds. `opaque`: anything made from the arguments. `shared`: an object that others may
hold. `value`: an immutable instance of the class that is called, or of the receiver's. `object`: a
new one that only touches what it was given. `container`: a new one that holds elements of the
arguments. `rows`: an iterator over plain data. `listed`: a new list of what the library says about
the arguments."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a call in a table does."""

    result: str = "opaque"
    external: frozenset[External] = frozenset()
    looks: tuple[str, ...] = ()
    """Parts of the world that it looks at."""
    changes: tuple[str, ...] = ()
    """Parts of the world that it changes."""
    uses: bool = True
    """False when it does not look into its arguments."""
    receiver: Literal["", "looks", "changes"] = ""
    """What a method does to the object that it is called on."""
    iterates: bool = False
    """True when it iterates over its arguments."""
    maybe: bool = False
    """It may also give None."""
    pauses: bool = False
    """It waits on purpose."""


SCALAR: Final = Known("scalar")
COUNTS: Final = Known("scalar", iterates=True)
FRESH: Final = Known("fresh", iterates=True)
DATA: Final = Known("data")
MESSAGE: Final = Known("message")
MESSAGES: Final = Known("messages")
OPAQUE: Final = Known("opaque")

_READ: Final[frozenset[External]] = frozenset({"read"})
_WRITE: Final[frozenset[External]] = frozenset({"write"})

CONTACTS: Final[Mapping[str, Known]] = {
    "computes": Known(),
    "iterates": Known(iterates=True),
    "looks": Known(receiver="looks"),
    "changes": Known(receiver="changes"),
    "clock": Known(looks=("clock",)),
    "pauses": Known(looks=("clock",), pauses=True),
    "environment": Known(looks=("environment",)),
    "settings": Known(),
    "files": Known(external=_READ, looks=("files",)),
    "writes files": Known(external=_WRITE, changes=("files",)),
    "reads": Known(external=_READ),
    "writes": Known(external=_WRITE),
    "draws": Known(looks=("random",), changes=("random",)),
    "chance": Known(external=_READ),
    "screen": Known(changes=("screen",)),
    "log": Known(changes=("log",)),
}
"""The contact of a call with the outside, by the word that a table has for it.

`chance` comes from the operating system: nobody can look at what is left of it. `settings` of the
process, such as the locale, are looked at; to change them is a write, which keeps its place."""


def _all(known: Known, module: str, names: str) -> dict[str, Known]:
    return {f"{module}.{name}": known for name in names.split()}


FUNCTIONS: Final[Mapping[str, Known]] = {
    **_all(MESSAGES, "langchain_core.messages.utils", "trim_messages filter_messages"),
    **_all(MESSAGES, "langchain_core.messages.utils", "merge_message_runs messages_from_dict"),
    **_all(MESSAGES, "langchain_core.messages.utils", "convert_to_messages"),
    **_all(DATA, "langchain_core.messages.utils", "convert_to_openai_messages"),
    **_all(COUNTS, "langchain_core.messages.utils", "get_buffer_string"),
    **_all(COUNTS, "langchain_core.messages.utils", "count_tokens_approximately"),
    **_all(FRESH, "langchain_core.messages.base", "message_to_dict messages_to_dict"),
    **_all(SCALAR, "langchain_core.load.dump", "dumps"),
    **_all(
        Known("data", uses=False),
        "langchain_core.utils.function_calling",
        "convert_to_openai_tool convert_to_openai_function convert_to_json_schema",
    ),
}
"""Functions of other libraries; those of Python itself stand in `library/`."""

STRING_METHODS: Final = frozenset(
    name for name in dir(str) if not name.startswith("_") and name not in ("index", "count")
)
"""Methods of strings."""
UNMISTAKABLE_METHODS: Final = STRING_METHODS - {
    *("encode", "expandtabs", "find", "format", "format_map", "join", "maketrans", "partition"),
    *("replace", "rfind", "rindex", "rpartition", "translate"),
}
"""Methods that, on an object of unknown type, are taken to be those of a string."""

READING_METHODS: Final = STRING_METHODS | frozenset(
    [
        "get",
        "items",
        "keys",
        "values",
        "copy",
        "index",
        "count",
        "union",
        "intersection",
        "difference",
        "issubset",
        "issuperset",
        "isdisjoint",
        "most_common",
        "elements",
        "pretty_repr",
        "text",
        "model_dump",
        "model_dump_json",
        "model_copy",
        "dict",
        "json",
        "tolist",
        "to_string",
        "symmetric_difference",
        "weekday",
        "isoweekday",
        "toordinal",
        "utcoffset",
        "date",
        "time",
        "astimezone",
        "as_tuple",
        "is_integer",
        "bit_length",
        "hex",
        "startswith",
        "isoformat",
        "strftime",
        "timestamp",
        "total_seconds",
        "group",
        "groups",
        "groupdict",
        "hexdigest",
        "digest",
    ]
)
"""Methods of built-in containers, messages and dates that change nothing."""

MUTATING_METHODS: Final = frozenset(
    [
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "clear",
        "sort",
        "reverse",
        "add",
        "discard",
        "update",
        "setdefault",
        "popitem",
        "appendleft",
        "extendleft",
        "popleft",
        "rotate",
        "intersection_update",
        "difference_update",
        "symmetric_difference_update",
        "move_to_end",
        "subtract",
        "send",
        "throw",
        "close",
    ]
)
"""Methods of built-in containers that change the receiver."""

RUNS_ONCE: Final = frozenset(
    {
        *("invoke", "ainvoke", "run", "arun", "get_relevant_documents"),
        "aget_relevant_documents",
    }
)
"""Methods that run a runnable, a tool or a retriever once and give what it gives."""
CHAIN_CALLS: Final = RUNS_ONCE | frozenset(
    [
        "stream",
        "astream",
        "batch",
        "abatch",
        "batch_as_completed",
        "abatch_as_completed",
        "astream_events",
        "astream_log",
        "predict",
        "apredict",
        "generate",
        "agenerate",
    ]
)

RUNS_LATER: Final = frozenset(
    {
        *("invoke", "ainvoke", "stream", "astream", "batch", "abatch", "astream_events"),
        *("batch_as_completed", "abatch_as_completed", "astream_log"),
    }
)
"""Methods that run any runnable, whatever it is."""

CHAIN_BUILDERS: Final = frozenset(
    [
        "bind",
        "bind_tools",
        "with_config",
        "with_retry",
        "with_structured_output",
        "with_types",
        "pipe",
        "partial",
        "with_fallbacks",
        "pick",
        "assign",
        "map",
        "configurable_fields",
        "configurable_alternatives",
    ]
)

PROMPT_CALLS: Final = frozenset(
    [
        "format",
        "aformat",
        "format_messages",
        "aformat_messages",
        "format_prompt",
        "aformat_prompt",
        "get_format_instructions",
        "parse",
    ]
)
