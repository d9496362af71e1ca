"""Stand-ins for the vendors' clients (web search, market data): they answer without a network.

Like the clients of the originals they end in a library call that no analysis of the user's code can
look into; `urlopen` serves a `data:` URL from memory.
"""

from urllib.parse import quote
from urllib.request import urlopen


def fetch(kind: str, query: str) -> str:
    """Return what the service `kind` has on `query`."""
    with urlopen(f"data:text/plain,{quote(f'{kind} on {query}: nothing unusual.')}") as response:
        return response.read().decode()


def search_web(query: str) -> str:
    """Return the first results of a web search."""
    try:
        return fetch("results", query)
    except OSError as error:
        return f"The search failed: {error}"


def company_figures(ticker: str) -> str:
    """Return key figures of a company."""
    try:
        return fetch("figures", ticker)
    except OSError as error:
        return f"No figures: {error}"


def price_history(ticker: str, months: int) -> str:
    """Return the daily prices of the last months."""
    try:
        return fetch(f"prices of {months} months", ticker)
    except OSError as error:
        return f"No prices: {error}"
