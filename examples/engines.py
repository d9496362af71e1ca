"""The engines that the examples talk to: a real server, or embedded ones in their own processes.

python -m examples.demo                                     # embedded engines
BASE_URL=http://gpu-1:8000/v1 MODEL=llama python -m examples.demo
"""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from langchain_openai import ChatOpenAI

PROFILE = "gpu-8b"
START_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Endpoint:
    """One OpenAI-compatible server and the model that it serves."""

    base_url: str
    model: str

    def chat_model(self) -> ChatOpenAI:
        """Return a client of this server, without retries that would hide queueing."""
        return ChatOpenAI(
            base_url=self.base_url,
            model=self.model,
            api_key=os.environ.get("OPENAI_API_KEY", "none"),
            temperature=0,
            max_retries=0,
            timeout=CALL_TIMEOUT_S,
        )


@contextmanager
def open_engines(count: int, seats: int) -> Iterator[list[Endpoint]]:
    """Yield the servers named in `BASE_URL` (comma-separated), else `count` embedded engines.

    Args:
        count: Embedded engines to start, each in a process of its own.
        seats: Requests that an embedded engine serves at once; the others wait inside it.
    """
    urls = [url.strip() for url in os.environ.get("BASE_URL", "").split(",") if url.strip()]
    with ExitStack() as stack:
        if urls:
            model = os.environ.get("MODEL", "")
            if not model:
                sys.exit("BASE_URL is set but MODEL is not; name the model that the server serves.")
            endpoints = [Endpoint(url.rstrip("/"), model) for url in urls]
            for endpoint in endpoints:
                _check(endpoint)
        else:
            endpoints = [stack.enter_context(_embedded(seats)) for _ in range(count)]
        yield endpoints


@contextmanager
def _embedded(seats: int) -> Iterator[Endpoint]:
    command = [sys.executable, "-m", "langgraph_rsm", "emulate", "--port", "0"]
    command += ["--profile", PROFILE, "--max-num-seqs", str(seats)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(START_TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        first = process.stdout.readline() if process.stdout else ""
        watchdog.cancel()
        marker, _, url = first.strip().partition("listening on ")
        if marker or not url:
            sys.exit("The embedded engine did not start; its message stands above.")
        yield Endpoint(url, PROFILE)
    finally:
        watchdog.cancel()
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()


def _check(endpoint: Endpoint) -> None:
    request = urllib.request.Request(f"{endpoint.base_url}/models")
    request.add_header("Authorization", f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            served = [model["id"] for model in json.load(response)["data"]]
    except (urllib.error.HTTPError, json.JSONDecodeError, KeyError, TypeError):
        return  # it answers, without a list of models: whether MODEL exists shows in the first call
    except (OSError, ValueError) as error:
        sys.exit(
            f"No engine answers at {endpoint.base_url} ({error}). Start it, correct BASE_URL, or "
            "unset BASE_URL to use the embedded engines."
        )
    if endpoint.model not in served:
        sys.exit(
            f"{endpoint.base_url} does not serve MODEL={endpoint.model!r}; it serves "
            f"{', '.join(served) or 'none'}."
        )
