"""From the name of a module to the module, without running code of the user's.

A node that imports something gets at run time what is loaded by then. The standard library and the
packages named here do nothing but define things when they are imported: so they may be loaded here.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import MISSING
from langgraph_parallel.inference.code.source import is_library

_PACKAGES: Final = frozenset(
    " ".join(
        (
            "PyPDF2 anthropic arxiv bs4 chromadb dateutil ddgs docx duckduckgo_search faiss",
            "feedparser google googlesearch newspaper pymongo redis trafilatura",
            "groq httpx humanize jinja2 json_repair langchain langchain_anthropic langchain_chroma",
            "langchain_classic langchain_cohere langchain_community langchain_core",
            "langchain_deepseek langchain_experimental langchain_google_genai langchain_groq",
            "langchain_huggingface langchain_mistralai langchain_ollama langchain_openai",
            "langchain_tavily langchain_text_splitters langgraph langsmith lxml markdown",
            "markdownify nltk numpy openai orjson pandas pydantic pypdf pytz requests rich",
            "serpapi slugify sqlalchemy tabulate tavily tenacity tiktoken toml tqdm wikipedia yaml",
            "yfinance youtube_transcript_api",
        )
    ).split()
)
"""Packages that may be imported: what they do then, nobody can tell from their having been
imported sooner."""
_NOT_HARMLESS: Final = frozenset({"antigravity", "this", "idlelib", "turtle", "tkinter", "test"})


def module_named(name: str) -> ModuleType | None:
    """Return a module by its full name; None when it is not loaded, and not harmless to load."""
    known = sys.modules.get(name)
    if known is not None or not name or not _is_harmless(name.partition(".")[0]):
        return known
    try:
        importlib.import_module(name)
    except Exception:
        return None
    return sys.modules.get(name)


def _is_harmless(top: str) -> bool:
    """Tell whether a package is one of those, and the one that would be found is a library's."""
    if top in _NOT_HARMLESS or top not in sys.stdlib_module_names | _PACKAGES:
        return False
    loaded = sys.modules.get(top)
    if loaded is not None:
        return is_library(getattr(loaded, "__file__", None) or "<frozen")
    spec = PathFinder.find_spec(top)
    return spec is not None and is_library(spec.origin or "")


def name_in(module: ModuleType, name: str) -> Any:
    """Return what `from module import name` gives; `MISSING` when finding it may run any code."""
    if name in vars(module):
        return vars(module)[name]
    full = f"{module.__name__}.{name}"
    if full in sys.modules:
        return sys.modules[full]
    if not _is_harmless(module.__name__.partition(".")[0]):
        return MISSING
    try:
        return getattr(module, name)
    except Exception:
        found = module_named(full)
        return MISSING if found is None else found
