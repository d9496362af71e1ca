"""The documented table of calls whose effect is known, by qualified name."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final, Literal

from langgraph_parallel.effects import External

Result = Literal["scalar", "message", "fresh", "elements", "opaque"]
"""`scalar`: an immutable value. `message`: a message or date. `fresh`: a new container of the
arguments' elements. `elements`: a part of an argument. `opaque`: anything made from them."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a call in the table does."""

    result: Result = "opaque"
    external: frozenset[External] = frozenset()


SCALAR: Final = Known("scalar")

FRESH: Final = Known("fresh")

ELEMENTS: Final = Known("elements")

DATA: Final = Known("message")

DATED: Final = (datetime.date, datetime.timedelta)

READS_WORLD: Final = Known("scalar", frozenset({"read"}))

BUILTINS: Final[dict[str, Known]] = {
    "sum": Known("opaque"),
    "type": Known("opaque"),
    **dict.fromkeys(
        [
            "abs",
            "all",
            "any",
            "ascii",
            "bin",
            "bool",
            "bytes",
            "callable",
            "chr",
            "divmod",
            "float",
            "format",
            "hash",
            "hex",
            "id",
            "int",
            "isinstance",
            "issubclass",
            "len",
            "oct",
            "ord",
            "pow",
            "print",
            "range",
            "repr",
            "round",
            "str",
        ],
        SCALAR,
    ),
    **dict.fromkeys(
        [
            "dict",
            "enumerate",
            "filter",
            "frozenset",
            "list",
            "map",
            "reversed",
            "set",
            "sorted",
            "tuple",
            "zip",
        ],
        FRESH,
    ),
    **dict.fromkeys(["iter", "max", "min"], ELEMENTS),
}
"""Built-ins without effects. Absent on purpose: `open`, `input`, `eval`, `exec`, `getattr` (its own
rule), `next` (it changes its argument), `setattr`, `vars`, `locals`, `globals`, `super`."""

FUNCTIONS: Final[dict[str, Known]] = {
    "json.dumps": SCALAR,
    "json.loads": FRESH,
    "ast.literal_eval": FRESH,
    "copy.copy": Known("opaque"),
    "copy.deepcopy": Known("fresh"),
    "textwrap.dedent": SCALAR,
    "textwrap.fill": SCALAR,
    "textwrap.indent": SCALAR,
    "textwrap.shorten": SCALAR,
    "textwrap.wrap": FRESH,
    "html.escape": SCALAR,
    "html.unescape": SCALAR,
    "time.monotonic": READS_WORLD,
    "time.perf_counter": READS_WORLD,
    "time.time": READS_WORLD,
    "time.sleep": SCALAR,
    "asyncio.tasks.sleep": SCALAR,
    "uuid.uuid4": READS_WORLD,
    "datetime.datetime.now": READS_WORLD,
    "datetime.datetime.today": READS_WORLD,
    "datetime.datetime.utcnow": READS_WORLD,
    "datetime.date.today": READS_WORLD,
    "os.getenv": READS_WORLD,
    "langchain_core.messages.utils.trim_messages": FRESH,
    "langchain_core.messages.utils.get_buffer_string": SCALAR,
    "langchain_core.messages.utils.count_tokens_approximately": SCALAR,
}

PURE_MODULES: Final = frozenset({"math", "_operator", "re", "difflib", "urllib.parse", "hashlib"})

OPERATOR_MUTATORS: Final = frozenset({"setitem", "delitem", "methodcaller", "call"})

PURE_CLASSES: Final = frozenset(
    [
        "datetime.datetime",
        "datetime.date",
        "datetime.timedelta",
        "datetime.timezone",
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
        "collections.Counter",
        "collections.OrderedDict",
        "collections.deque",
        "langchain_core.documents.base.Document",
        "builtins.object",
    ]
)

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
        "dict",
        "json",
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
    ]
)
"""Methods of built-in containers that change the receiver."""

CHAIN_CALLS: Final = frozenset(
    [
        "invoke",
        "ainvoke",
        "stream",
        "astream",
        "batch",
        "abatch",
        "predict",
        "apredict",
        "generate",
        "agenerate",
    ]
)

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

STORE_READS: Final = frozenset(["similarity_search", "max_marginal_relevance_search", "search"])
