"""The documented table of calls whose effect is known, by qualified name.

The name only says where to look: `gentle.library_name` gives it to the very object that stands
there in the library and to no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from langgraph_parallel.effects import External

Result = Literal[
    "scalar", "message", "messages", "fresh", "elements", "data", "opaque", "parts", "none"
]
"""`scalar`: an immutable value. `message`: a message or date. `messages`: a new list of messages.
`fresh`: a new container of the arguments' elements. `elements`: a part of an argument. `data`:
plain data made from them. `opaque`: anything made from them. `parts`: a new list of the arguments.
`none`: None."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a call in the table does."""

    result: Result = "opaque"
    external: frozenset[External] = frozenset()
    looks: tuple[str, ...] = ()
    """Parts of the world that it looks at."""
    changes: tuple[str, ...] = ()
    """Parts of the world that it changes."""
    uses: bool = True
    """False when it does not look into its arguments."""


SCALAR: Final = Known("scalar")
FRESH: Final = Known("fresh")
ELEMENTS: Final = Known("elements")
DATA: Final = Known("data")
MESSAGE: Final = Known("message")
MESSAGES: Final = Known("messages")
OPAQUE: Final = Known("opaque")
CLOCK: Final = Known("scalar", looks=("clock",))
DATED: Final = Known("message", looks=("clock",))
RANDOM: Final = Known("scalar", looks=("random",), changes=("random",))
CHANCE: Final = Known("scalar", frozenset({"read"}))
"""Chance that comes from the operating system: nobody can look at what is left of it."""
FILES: Final = Known("scalar", frozenset({"read"}), looks=("files",))
LISTING: Final = Known("fresh", frozenset({"read"}), looks=("files",))
WRITES_FILES: Final = Known("scalar", frozenset({"write"}), changes=("files",))
ENVIRONMENT: Final = Known("scalar", looks=("environment",))


def _all(known: Known, module: str, names: str) -> dict[str, Known]:
    return {f"{module}.{name}": known for name in names.split()}


FUNCTIONS: Final[Mapping[str, Known]] = {
    **_all(SCALAR, "json", "dumps"),
    **_all(DATA, "json", "loads"),
    **_all(DATA, "ast", "literal_eval"),
    "copy.copy": OPAQUE,
    "copy.deepcopy": OPAQUE,
    **_all(SCALAR, "textwrap", "dedent fill indent shorten"),
    **_all(FRESH, "textwrap", "wrap"),
    **_all(SCALAR, "html", "escape unescape"),
    **_all(CLOCK, "time", "monotonic perf_counter time time_ns perf_counter_ns monotonic_ns"),
    **_all(CLOCK, "time", "process_time thread_time ctime asctime strftime"),
    **_all(DATED, "time", "localtime gmtime"),
    **_all(SCALAR, "time", "mktime"),
    **_all(DATED, "time", "strptime"),
    **_all(Known("scalar", looks=("clock",)), "time", "sleep"),
    **_all(SCALAR, "asyncio.tasks", "sleep"),
    **_all(CHANCE, "uuid", "uuid1 uuid4"),
    **_all(SCALAR, "uuid", "uuid3 uuid5"),
    **_all(
        CHANCE, "secrets", "token_hex token_bytes token_urlsafe randbelow choice compare_digest"
    ),
    **_all(CHANCE, "posix", "urandom getpid"),
    **_all(DATED, "datetime.datetime", "now today utcnow"),
    **_all(DATED, "datetime.date", "today"),
    **_all(MESSAGE, "datetime.datetime", "strptime fromisoformat fromtimestamp combine"),
    **_all(MESSAGE, "datetime.date", "fromisoformat fromtimestamp fromordinal"),
    **_all(ENVIRONMENT, "os", "getenv"),
    **_all(FILES, "posix", "stat access getcwd"),
    **_all(LISTING, "posix", "listdir"),
    **_all(LISTING, "glob", "glob"),
    **_all(SCALAR, "posixpath", "join basename dirname splitext normpath isabs relpath"),
    **_all(SCALAR, "posixpath", "normcase commonprefix commonpath"),
    **_all(FRESH, "posixpath", "split splitdrive"),
    **_all(FILES, "posixpath", "abspath realpath islink ismount"),
    **_all(FILES, "genericpath", "exists isfile isdir getsize getmtime"),
    **_all(FILES, "posixpath", "lexists"),
    **_all(ENVIRONMENT, "posixpath", "expanduser expandvars"),
    **_all(WRITES_FILES, "os", "makedirs removedirs"),
    **_all(WRITES_FILES, "posix", "mkdir remove unlink rename rmdir replace"),
    **_all(WRITES_FILES, "shutil", "copy copy2 copyfile move rmtree copytree"),
    **_all(RANDOM, "random", "seed"),
    **_all(SCALAR, "pprint", "pformat"),
    **_all(Known("none", changes=("screen",)), "pprint", "pprint pp"),
    **_all(SCALAR, "string", "capwords"),
    **_all(SCALAR, "base64", "b64encode b64decode urlsafe_b64encode urlsafe_b64decode"),
    **_all(SCALAR, "binascii", "hexlify unhexlify crc32"),
    **_all(SCALAR, "zlib", "crc32 compress decompress adler32"),
    **_all(FRESH, "dataclasses", "asdict astuple"),
    **_all(OPAQUE, "dataclasses", "fields is_dataclass replace"),
    **_all(ELEMENTS, "typing", "cast"),
    **_all(OPAQUE, "functools", "cmp_to_key"),
    **_all(SCALAR, "inspect", "cleandoc iscoroutinefunction isawaitable isfunction isclass"),
    **_all(SCALAR, "asyncio.coroutines", "iscoroutine iscoroutinefunction"),
    **_all(MESSAGES, "langchain_core.messages.utils", "trim_messages filter_messages"),
    **_all(MESSAGES, "langchain_core.messages.utils", "merge_message_runs messages_from_dict"),
    **_all(MESSAGES, "langchain_core.messages.utils", "convert_to_messages"),
    **_all(DATA, "langchain_core.messages.utils", "convert_to_openai_messages"),
    **_all(SCALAR, "langchain_core.messages.utils", "get_buffer_string"),
    **_all(SCALAR, "langchain_core.messages.utils", "count_tokens_approximately"),
    **_all(FRESH, "langchain_core.messages.base", "message_to_dict messages_to_dict"),
    **_all(SCALAR, "langchain_core.load.dump", "dumps"),
    **_all(
        Known("data", uses=False),
        "langchain_core.utils.function_calling",
        "convert_to_openai_tool convert_to_openai_function convert_to_json_schema",
    ),
}

PURE_MODULES: Final = frozenset(
    {
        *("math", "_operator", "operator", "re", "difflib", "urllib.parse", "hashlib", "_hashlib"),
        *("statistics", "cmath", "fnmatch", "unicodedata", "colorsys", "_bisect", "bisect"),
        *("_struct", "_blake2", "_sha256", "_sha512", "_md5", "_sha1", "_sha3", "hmac", "quopri"),
    }
)
"""Modules all of whose functions compute, but for those named in `MUTATORS`."""

MUTATORS: Final = frozenset(
    {
        "setitem",
        "delitem",
        "methodcaller",
        "call",
        "insort",
        "insort_left",
        "insort_right",
        "file_digest",
    }
)

PURE_CLASSES: Final = frozenset(
    {
        "datetime.datetime",
        "datetime.date",
        "datetime.time",
        "datetime.timedelta",
        "datetime.timezone",
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
        "zoneinfo.ZoneInfo",
        "collections.Counter",
        "collections.OrderedDict",
        "collections.deque",
        "langchain_core.documents.base.Document",
        "langchain_core.runnables.utils.ConfigurableField",
        "builtins.object",
        "pathlib.Path",
        "pathlib.PurePath",
        "pathlib.PosixPath",
        "pathlib.PurePosixPath",
        "string.Template",
        "itertools.chain",
        "itertools.islice",
        "itertools.product",
        "itertools.permutations",
        "itertools.combinations",
        "itertools.zip_longest",
        "itertools.pairwise",
        "itertools.repeat",
        "itertools.accumulate",
        "itertools.groupby",
        "itertools.takewhile",
        "itertools.dropwhile",
        "itertools.starmap",
        "operator.itemgetter",
        "operator.attrgetter",
    }
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
