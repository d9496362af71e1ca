"""Classes of libraries whose instances ask somebody: search engines, loaders, stores, splitters.

Known is a class that stands in its library under that name, or for a base of LangChain's any
library's class below it. A method is known by its name; all others are not.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, Literal

from langgraph_parallel.effects import External
from langgraph_parallel.inference.code.datamodel import instance_dict, is_a, mro_of, user_defined
from langgraph_parallel.inference.code.gentle import (
    found_under,
    library_name,
    library_name_of_class,
)
from langgraph_parallel.inference.code.source import is_library

Gives = Literal[
    "data", "list", "text", "tame", "documents", "held", "given", "frame", "date", "prompt", "none"
]
"""`data`: plain data. `list`: a new list of plain data. `text`: an immutable value. `date`: a value
that has no parts to be changed. `tame`: objects of the library. `documents`: documents that nobody
else holds. `held`: documents that the receiver may hold, too. `given`: what the method was given.
`frame`: a table of pandas. `prompt`: a prompt that is fetched."""


@dataclass(frozen=True, slots=True)
class Does:
    """What a method of a service does."""

    contact: frozenset[External]
    gives: Gives
    changes: bool = False
    """Whether it changes the receiver."""
    place: str = ""
    """A named part of the world that it looks at."""


_READ: Final = frozenset({"read"})
_MODEL: Final = frozenset({"model"})
_PURE: Final[frozenset[External]] = frozenset()
_WRITE: Final = frozenset({"write"})


def _methods(
    contact: frozenset[Any], gives: Gives, names: str, *, changes: bool = False, place: str = ""
) -> dict[str, Does]:
    return dict.fromkeys(names.split(), Does(contact, gives, changes, place))


_LOADS: Final = _methods(
    _READ, "documents", "load lazy_load aload alazy_load load_and_split", place="files"
)
_SPLITS: Final = {
    **_methods(_PURE, "list", "split_text"),
    **_methods(
        _PURE,
        "documents",
        "create_documents split_documents transform_documents atransform_documents",
    ),
}
_EMBEDS: Final = _methods(
    _MODEL, "list", "embed_query embed_documents aembed_query aembed_documents"
)
_SEARCHES: Final = _methods(
    _READ,
    "held",
    "similarity_search asimilarity_search similarity_search_with_score search asearch "
    "asimilarity_search_with_score similarity_search_with_relevance_scores get_by_ids "
    "asimilarity_search_with_relevance_scores similarity_search_by_vector aget_by_ids "
    "asimilarity_search_by_vector similarity_search_with_score_by_vector "
    "max_marginal_relevance_search amax_marginal_relevance_search "
    "max_marginal_relevance_search_by_vector amax_marginal_relevance_search_by_vector",
)
_ADDS: Final = (
    "add_documents aadd_documents add_texts aadd_texts delete adelete add_embeddings upsert"
)
_STORES: Final = {**_SEARCHES, **_methods(_WRITE, "tame", _ADDS, changes=True)}
_HELD_STORES: Final = {**_SEARCHES, **_methods(_MODEL, "tame", _ADDS, changes=True)}
_ASKS: Final = _methods(
    _READ,
    "tame",
    "run arun results aresults raw_results raw_results_async results_async load lazy_load "
    "get_results search",
)
BASES: Final[Mapping[str, Mapping[str, Does]]] = {
    "langchain_core.BaseLoader": _LOADS,
    "langchain_core.BaseBlobParser": _methods(_READ, "documents", "parse lazy_parse"),
    "langchain_text_splitters.TextSplitter": _SPLITS,
    "langchain_core.Embeddings": _EMBEDS,
    "langchain_core.VectorStore": _STORES,
    "langchain_core.BaseDocumentCompressor": _methods(
        _MODEL, "given", "compress_documents acompress_documents"
    ),
}
"""What an instance of any library's class below a base of LangChain's does."""
_NOT_BY_BASE: Final = frozenset(
    " ".join(
        (
            "GitLoader GoogleDriveLoader OneDriveLoader SharePointLoader O365BaseLoader",
            "SQLDatabaseLoader DuckDBLoader SnowflakeLoader BigQueryLoader AthenaLoader",
            "CassandraLoader GenericLoader PebbloSafeLoader PebbloTextLoader MaxComputeLoader",
            "OracleDocLoader KineticaLoader CouchbaseLoader Neo4jLoader SurrealDBLoader",
            "YoutubeAudioLoader BrowserbaseLoader GlueCatalogLoader CubeSemanticLoader",
            "CacheBackedEmbeddings FakeEmbeddings DeterministicFakeEmbedding",
        )
    ).split()
)
"""Classes below those that write something on the way, run a statement, or keep what they do."""


def _all(package: str, methods: Mapping[str, Does], names: str) -> dict[str, Mapping[str, Does]]:
    return {f"{package}.{name}": methods for name in names.split()}


SERVICES: Final[Mapping[str, Mapping[str, Does]]] = {
    **_all("langchain_core", _HELD_STORES, "InMemoryVectorStore"),
    **_all("langchain_community", _HELD_STORES, "FAISS DocArrayInMemorySearch SKLearnVectorStore"),
    **_all(
        "langchain_text_splitters",
        _SPLITS,
        "HTMLHeaderTextSplitter HTMLSectionSplitter MarkdownHeaderTextSplitter "
        "RecursiveJsonSplitter",
    ),
    **_all(
        "langchain_community",
        _ASKS,
        "AlphaVantageAPIWrapper ArxivAPIWrapper AskNewsAPIWrapper BingSearchAPIWrapper "
        "BraveSearchWrapper DataForSeoAPIWrapper DuckDuckGoSearchAPIWrapper GoldenQueryAPIWrapper "
        "GoogleBooksAPIWrapper GoogleFinanceAPIWrapper GoogleJobsAPIWrapper GoogleLensAPIWrapper "
        "GoogleScholarAPIWrapper GoogleSearchAPIWrapper GoogleSerperAPIWrapper "
        "GoogleTrendsAPIWrapper JinaSearchAPIWrapper MerriamWebsterAPIWrapper "
        "MetaphorSearchAPIWrapper MojeekSearchAPIWrapper OpenWeatherMapAPIWrapper "
        "PubMedAPIWrapper RedditSearchAPIWrapper SearchApiAPIWrapper SearxSearchWrapper "
        "SemanticScholarAPIWrapper SerpAPIWrapper StackExchangeAPIWrapper "
        "TavilySearchAPIWrapper WikidataAPIWrapper WolframAlphaAPIWrapper YouSearchAPIWrapper",
    ),
    "langchain_community.WikipediaAPIWrapper": _methods(
        _READ, "tame", "run load lazy_load", place="wikipedia"
    ),
    **_all("langchain_community", _methods(_READ, "tame", "get aget"), "TextRequestsWrapper"),
    **_all("langchain_google_community", _ASKS, "GoogleSearchAPIWrapper"),
    **_all("langchain_tavily", _ASKS, "TavilySearchAPIWrapper"),
    **_all(
        "tavily",
        _methods(_READ, "data", "search extract qna_search get_search_context crawl map"),
        "TavilyClient AsyncTavilyClient",
    ),
    **_all("ddgs", _methods(_READ, "data", "text images news videos books"), "DDGS _DDGSProxy"),
    **_all(
        "duckduckgo_search",
        _methods(_READ, "data", "text images news videos maps answers suggestions"),
        "DDGS AsyncDDGS",
    ),
    **_all(
        "exa_py",
        _methods(_READ, "tame", "search search_and_contents find_similar get_contents answer"),
        "Exa AsyncExa",
    ),
    **_all("serpapi", _methods(_READ, "data", "get_dict get_json get_dictionary"), "GoogleSearch"),
    **_all("serpapi", _methods(_READ, "data", "search"), "Client"),
    **_all(
        "firecrawl",
        _methods(_READ, "tame", "scrape scrape_url search map map_url"),
        "Firecrawl FirecrawlApp AsyncFirecrawl AsyncFirecrawlApp FirecrawlClient",
    ),
    **_all("arxiv", _methods(_READ, "tame", "results"), "Client Search"),
    **_all("wikipediaapi", _methods(_READ, "tame", "page"), "Wikipedia"),
    **_all(
        "youtube_transcript_api",
        _methods(_READ, "tame", "fetch list get_transcript list_transcripts"),
        "YouTubeTranscriptApi",
    ),
    **_all(
        "yfinance",
        {
            **_methods(_READ, "frame", "history"),
            **_methods(_READ, "tame", "get_info get_news get_financials option_chain get_earnings"),
        },
        "Ticker",
    ),
    **_all("langsmith", _methods(_READ, "prompt", "pull_prompt"), "Client"),
    **_all("google", {}, "Client AsyncClient"),
    **_all("groq", _methods(_MODEL, "tame", "create"), "Completions AsyncCompletions"),
    **_all("ollama", _methods(_MODEL, "tame", "chat generate embed embeddings"), "Client"),
    **_all("ollama", _methods(_MODEL, "tame", "chat generate embed embeddings"), "AsyncClient"),
    **_all("mistralai", _methods(_MODEL, "tame", "complete complete_async"), "Chat"),
    **_all(
        "cohere",
        _methods(_MODEL, "tame", "chat generate embed rerank classify"),
        "Client ClientV2 AsyncClient AsyncClientV2",
    ),
    **_all(
        "huggingface_hub",
        _methods(
            _MODEL, "tame", "chat_completion text_generation feature_extraction summarization"
        ),
        "InferenceClient AsyncInferenceClient",
    ),
    **_all(
        "langchain_community",
        _methods(_PURE, "given", "transform_documents atransform_documents"),
        "Html2TextTransformer LongContextReorder",
    ),
    "pymongo.Collection": _methods(_READ, "tame", "find find_one count_documents distinct"),
    "redis.Redis": _methods(_READ, "tame", "get mget hget hgetall lrange exists keys smembers ttl"),
    "elasticsearch.Elasticsearch": _methods(_READ, "tame", "search get count mget"),
    "newspaper.Article": {
        **_methods(_READ, "none", "download", changes=True),
        **_methods(_PURE, "none", "parse", changes=True),
    },
    **_all("newsapi", _methods(_READ, "data", "get_everything get_top_headlines"), "NewsApiClient"),
    **_all(
        "google",
        _methods(_MODEL, "tame", "generate_content generate_content_stream embed_content"),
        "Models AsyncModels GenerativeModel",
    ),
    **_all(
        "sentence_transformers", _methods(_MODEL, "tame", "encode predict"), "SentenceTransformer"
    ),
    **_all("sentence_transformers", _methods(_MODEL, "tame", "predict rank"), "CrossEncoder"),
    **_all("tiktoken", _methods(_PURE, "tame", "encode decode encode_ordinary"), "Encoding"),
}
"""What an instance of exactly one class does, by the first part of its module and its name."""
READING_TOOLS: Final = frozenset(
    " ".join(
        (
            "AmadeusClosestAirport AmadeusFlightSearch ArxivQueryRun AskNewsSearch BalanceSheets",
            "BingSearchResults BingSearchRun BraveSearch CashFlowStatements",
            "DataForSeoAPISearchResults DataForSeoAPISearchRun DuckDuckGoSearchResults",
            "DuckDuckGoSearchRun FileSearchTool GmailGetMessage GmailGetThread GmailSearch",
            "GoldenQueryRun GoogleBooksQueryRun GoogleFinanceQueryRun GoogleJobsQueryRun",
            "GoogleLensQueryRun GoogleScholarQueryRun GoogleSearchResults GoogleSearchRun",
            "GoogleSerperResults GoogleSerperRun GoogleTrendsQueryRun IncomeStatements",
            "JinaSearch JsonGetValueTool JsonListKeysTool ListDirectoryTool",
            "MerriamWebsterQueryRun MetaphorSearchResults MojeekSearch",
            "OpenWeatherMapQueryRun PolygonAggregates PolygonFinancials PolygonLastQuote",
            "PolygonTickerNews PubmedQueryRun ReadFileTool RedditSearchRun RequestsGetTool",
            "SearchAPIResults SearchAPIRun SearxSearchResults SearxSearchRun",
            "SemanticScholarQueryRun StackExchangeTool TavilyAnswer TavilyCrawl TavilyExtract",
            "TavilyMap TavilySearch TavilySearchResults WikidataQueryRun WikipediaQueryRun",
            "WolframAlphaQueryRun YahooFinanceNewsTool YouSearchTool YouTubeSearchTool",
            "ExaSearchResults ExaFindSimilarResults",
        )
    ).split()
)
"""Tools of LangChain's packages that only ask for something."""
ONE_AT_A_TIME: Final[Mapping[str, str]] = {
    **dict.fromkeys(["PyMuPDFLoader", "PyMuPDF4LLMLoader", "PyMuPDFParser"], "PyMuPDF"),
    **dict.fromkeys(["PyPDFium2Loader", "PyPDFium2Parser"], "PDFium"),
    **dict.fromkeys(["UnstructuredPDFLoader", "OnlinePDFLoader", "UnstructuredLoader"], "PDFium"),
    **dict.fromkeys(["NLTKTextSplitter", "SpacyTextSplitter"], "corpora"),
}
"""Classes that use a library that works for one thread at a time, and how that is called."""
CHANGING_RETRIEVERS: Final = frozenset(
    {"WebResearchRetriever", "TimeWeightedVectorStoreRetriever", "EmbedchainRetriever"}
)
"""Retrievers that keep what they find, or when they were asked."""


def _functions(
    contact: frozenset[Any], gives: Gives, module: str, names: str, place: str = ""
) -> dict[str, Does]:
    does = Does(contact, gives, place=place)
    return {f"{module}.{name}": does for name in names.split()}


FUNCTIONS: Final[Mapping[str, Does]] = {
    **_functions(
        _PURE, "text", "langchain_core", "format_document aformat_document render_text_description"
    ),
    **_functions(_PURE, "data", "langchain_core", "parse_json_markdown parse_partial_json"),
    **_functions(_PURE, "data", "langchain_community", "filter_complex_metadata"),
    **_functions(
        _READ, "tame", "wikipedia", "summary search page suggest geosearch", place="wikipedia"
    ),
    **_functions(_READ, "prompt", "langchain_classic", "pull"),
    **_functions(_READ, "prompt", "langchain", "pull"),
    **_functions(_READ, "frame", "yfinance", "download"),
    **_functions(_READ, "tame", "googlesearch", "search"),
    **_functions(_READ, "data", "feedparser", "parse"),
    **_functions(_READ, "text", "trafilatura", "fetch_url"),
    **_functions(_PURE, "text", "trafilatura", "extract"),
    **_functions(_READ, "tame", "tiktoken", "get_encoding encoding_for_model"),
    **_functions(_MODEL, "tame", "ollama", "chat generate embed embeddings"),
    **_functions(_MODEL, "tame", "litellm", "completion acompletion embedding"),
    **_functions(
        _PURE,
        "text",
        "humanize",
        "naturalsize intcomma intword naturaltime naturaldelta naturaldate naturalday ordinal "
        "precisedelta apnumber fractional metric scientific",
    ),
    **_functions(_PURE, "text", "slugify", "slugify"),
    **_functions(_PURE, "text", "tabulate", "tabulate simple_separated_format"),
    **_functions(_PURE, "data", "json_repair", "loads repair_json"),
    **_functions(_PURE, "date", "dateutil", "parse isoparse"),
    **_functions(_PURE, "data", "xmltodict", "parse unparse"),
    **_functions(_PURE, "data", "toml", "loads dumps"),
    **_functions(_PURE, "data", "orjson", "loads dumps"),
    **_functions(_PURE, "text", "markdown", "markdown"),
    **_functions(_PURE, "text", "markdownify", "markdownify"),
    **_functions(_PURE, "text", "html2text", "html2text"),
    **_functions(_PURE, "text", "unidecode", "unidecode unidecode_expect_ascii"),
    **_functions(_PURE, "text", "ftfy", "fix_text fix_encoding"),
    **_functions(_PURE, "text", "bleach", "clean linkify"),
    **_functions(_PURE, "text", "num2words", "num2words"),
    **_functions(_PURE, "none", "jsonschema", "validate"),
    **_functions(_PURE, "date", "pytz", "timezone"),
    **_functions(
        _PURE,
        "text",
        "rapidfuzz",
        "ratio partial_ratio token_sort_ratio token_set_ratio WRatio QRatio distance similarity",
    ),
    **_functions(_PURE, "text", "Levenshtein", "distance ratio hamming jaro jaro_winkler setratio"),
    **_functions(_PURE, "data", "yaml", "safe_load safe_dump dump"),
}
"""What functions of packages do, by the first part of their module and their name."""


def function_of(obj: Any) -> Does | None:
    """Return what a function of a library does; None when it is not known by its name."""
    name = library_name(obj) or _name_behind_cache(obj)
    package, _, rest = name.partition(".")
    does = FUNCTIONS.get(f"{package}.{rest.rpartition('.')[2]}") if name else None
    if does is None or is_a(obj, type):
        return None
    module = sys.modules.get(str(getattr(obj, "__module__", "")))
    return does if is_library(getattr(module, "__file__", None) or "<frozen") else None


def _name_behind_cache(obj: Any) -> str:
    """Return the name of a function behind a cache that its library has put around it."""
    function = instance_dict(obj).get("fn")
    if not isinstance(function, FunctionType) or not is_from_library(type(obj)):
        return ""
    module, name = str(function.__module__), function.__name__
    return f"{module}.{name}" if found_under(module, name) is obj else ""


def is_from_library(cls: type) -> bool:
    """Tell whether a class stands in a library and has no code of the user's."""
    if not library_name_of_class(cls) or user_defined(cls):
        return False
    module = sys.modules.get(cls.__module__)
    return is_library(getattr(module, "__file__", None) or "<frozen")


def short_name(cls: type) -> str:
    """Return the package of a class and its name: where in it the class stands may change."""
    return f"{str(cls.__module__).partition('.')[0]}.{cls.__name__}"


@functools.lru_cache(maxsize=2048)
def _methods_of(cls: type) -> Mapping[str, Does] | None:
    exact = SERVICES.get(short_name(cls))
    if exact is not None:
        return exact
    if cls.__name__ in _NOT_BY_BASE:
        return None
    for base in mro_of(cls):
        found = SERVICES.get(short_name(base)) or BASES.get(short_name(base))
        if found is not None:
            return found
    return None


def service_of(cls: type) -> Mapping[str, Does] | None:
    """Return what the methods of a service do; None for a class that is none."""
    if is_a(cls, type) and isinstance(cls.__module__, str) and is_from_library(cls):
        return _methods_of(cls)
    return None


def asks_by_property(cls: type) -> bool:
    """Tell whether looking up a property of an instance asks a server."""
    return short_name(cls) == "yfinance.Ticker" and service_of(cls) is not None


def holds_in_memory(cls: type) -> bool:
    """Tell whether a vector store keeps what it is given in the object itself, and nowhere else."""
    return _methods_of(cls) is _HELD_STORES


def is_reading_tool(cls: type) -> bool:
    """Tell whether a tool's class is one of LangChain's that only ask for something."""
    package = cls.__module__.partition(".")[0] if isinstance(cls.__module__, str) else ""
    return package.startswith("langchain_") and cls.__name__ in READING_TOOLS
