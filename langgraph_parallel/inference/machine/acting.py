"""From a call of which nothing is known to whether its library or its name says that it acts.

`unknown_calls="independent"` vouches for calls *without known effect*. That somebody is asked, mail
is sent, a process is started or a row is inserted is known, even where nothing else is: such a call
also counts as a write to the world, which keeps its place whatever is trusted. This only widens
effects, so that a name is enough.
"""

from __future__ import annotations

import ast
import io
import types
from collections.abc import Iterable
from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import is_a, mro_of, names_of
from langgraph_parallel.inference.machine.values import Atom, Live, Made, Object

_STANDARD: Final = (
    *("_io", "io", "os", "posix", "nt", "pathlib", "shutil", "tempfile", "fileinput", "mmap"),
    *("gzip", "bz2", "lzma", "zipfile", "tarfile", "shelve", "dbm", "_dbm", "_gdbm", "mailbox"),
    *("smtplib", "ftplib", "imaplib", "poplib", "nntplib", "telnetlib", "xmlrpc", "http.client"),
    *("socket", "_socket", "ssl", "_ssl", "socketserver", "subprocess", "asyncio.subprocess"),
    *("pty", "signal", "_signal", "multiprocessing", "queue", "_queue", "asyncio.queues"),
    *("sqlite3", "_sqlite3", "getpass", "webbrowser", "readline", "curses", "tkinter", "syslog"),
)
_ASKING: Final = (
    *("click", "typer", "rich.prompt", "questionary", "inquirer", "InquirerPy", "prompt_toolkit"),
    *("selenium", "playwright", "pyautogui", "streamlit", "chainlit", "gradio"),
)
_DATABASES: Final = (
    *("sqlalchemy", "sqlmodel", "psycopg", "psycopg2", "psycopg_pool", "asyncpg", "pymysql"),
    *("MySQLdb", "mysql", "aiomysql", "oracledb", "pyodbc", "aiosqlite", "duckdb", "snowflake"),
    *("pymongo", "motor", "mongoengine", "beanie", "redis", "valkey", "cassandra", "neo4j"),
    *("peewee", "tortoise", "django.db", "elasticsearch", "opensearchpy", "supabase", "postgrest"),
    *("pinecone", "qdrant_client", "chromadb", "weaviate", "pymilvus", "lancedb"),
    *("langgraph.store", "langgraph.checkpoint", "langmem", "mem0", "zep_cloud"),
)
_SERVICES: Final = (
    *("requests", "httpx", "aiohttp", "urllib3", "pycurl", "websockets", "websocket", "grpc"),
    *("boto3", "botocore", "aioboto3", "google.cloud", "googleapiclient", "azure", "minio"),
    *("kafka", "confluent_kafka", "aiokafka", "pika", "aio_pika", "celery", "rq", "nats", "paho"),
    *("aiosmtplib", "sendgrid", "resend", "mailjet_rest", "postmarker", "yagmail", "exchangelib"),
    *("twilio", "slack_sdk", "slack_bolt", "telegram", "discord", "tweepy", "atproto", "praw"),
    *("stripe", "paramiko", "fabric", "docker", "kubernetes", "git", "github", "gitlab", "jira"),
    *("notion_client", "gspread", "pyairtable", "firebase_admin", "hubspot", "simple_salesforce"),
)
_ACTING: Final = frozenset((*_STANDARD, *_ASKING, *_DATABASES, *_SERVICES))
"""Libraries, as dotted prefixes, whose calls act on the world if their names do not deny it."""

_READING: Final = (
    *("get", "read", "find", "list", "select", "query", "search", "fetch", "describe", "count"),
    *("exist", "is_", "has_", "head", "scan", "peek", "ping", "stat", "similarity", "lookup"),
    *("iter", "glob", "rglob", "walk", "resolve", "expand", "as_", "with_", "relative_to", "match"),
)
"""How names of calls begin that only look, in whichever library."""

_ASKS_BY_READING: Final = ("_io", "io", "getpass", "queue", "_queue", "asyncio.queues", *_ASKING)
"""Libraries where who reads takes something away, or asks a person."""

_UNMISTAKABLE: Final = frozenset(
    {
        *("send_message", "sendmail", "send_mail", "send_email", "sendall", "sendto", "send_file"),
        *("write_text", "write_bytes", "writelines", "writerow", "writerows", "writestr", "rmtree"),
        *("unlink", "rmdir", "mkdir", "makedirs", "touch", "symlink_to", "to_csv", "to_sql"),
        *("to_excel", "to_parquet", "to_pickle", "to_feather", "to_hdf", "savefig", "save_local"),
        *("commit", "rollback", "executemany", "executescript", "bulk_write", "bulk_create"),
        *("insert_one", "insert_many", "update_one", "update_many", "replace_one", "delete_one"),
        *("delete_many", "put_item", "put_object", "upload_file", "upload_fileobj", "delete_item"),
        *("upsert", "add_documents", "add_texts", "aadd_documents", "aadd_texts", "save_context"),
        *("publish", "lpush", "rpush", "hset", "setex", "zadd", "sadd", "xadd", "incr", "decr"),
        *("chat_postMessage", "post_message", "send_keys", "write", "communicate"),
        *("readline", "getpass", "getch"),
    }
)
"""Methods whose names say that they act, on an object of whichever type."""


def acts(callee: Any, involved: Iterable[Atom], node: ast.AST) -> bool:
    """Tell whether a call that is not known is known to act on the world.

    Args:
        callee: The live object that is called, or None where that is not at hand.
        involved: What the call may look at and change: its receiver and arguments.
        node: The place.
    """
    name = _name_called(callee, node)
    if name in _UNMISTAKABLE:
        return True
    if not isinstance(node, ast.Call):
        return False
    if _acts_by_arguments(name, node):
        return True
    objects = [_object_of(atom) for atom in involved]
    libraries = {_library_of(obj) for obj in (callee, *objects) if obj is not None} - {""}
    if libraries.intersection(_ASKS_BY_READING):
        return True
    return bool(libraries) and not name.lower().lstrip("_").startswith(_READING)


def _name_called(callee: Any, node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    if is_a(callee, _FUNCTIONS):
        return str(callee.__name__)
    return function.id if isinstance(function, ast.Name) else ""


_FUNCTIONS: Final = (types.FunctionType, types.BuiltinFunctionType)


def _acts_by_arguments(name: str, node: ast.Call) -> bool:
    """Tell whether a call opens something to write it, or sends a body."""
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    if name == "open":
        texts = [part.value for part in given if isinstance(part, ast.Constant)]
        modes = [text for text in texts if isinstance(text, str) and set(text) <= set("rwxabt+")]
        return any(set(mode) & set("wxa+") for mode in modes)
    if name in ("urlopen", "Request"):
        return len(node.args) > 1 or any(key.arg in ("data", "method") for key in node.keywords)
    return False


def _object_of(atom: Atom) -> Any:
    if isinstance(atom, Live):
        return atom.obj
    if isinstance(atom, (Made, Object)) and not issubclass(atom.cls, io.IOBase):
        return atom.cls
    return None  # how a file was opened is known


def _library_of(obj: Any) -> str:
    """Return the acting library that an object, or its class, comes from; empty when from none."""
    obj = obj.__func__ if is_a(obj, types.MethodType) else obj
    modules = [obj.__module__] if is_a(obj, _FUNCTIONS) else []
    classes = mro_of(obj if is_a(obj, type) else type(obj))
    modules += [names_of(cls).get("__module__") for cls in classes]
    for module in modules:
        parts = module.split(".") if isinstance(module, str) else []
        for name in (parts[:1], parts[:2]):
            if ".".join(name) in _ACTING:
                return ".".join(name)
    return ""
