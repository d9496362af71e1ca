"""From a chain that is a node to one whose prompts read no more of a state than they fill in.

    prompt | llm       a prompt is handed the whole state, and takes the keys of its variables

Python spreads all keys of a dict into the call that fills a prompt in. Where reads are noted, that
would be a read of every key; the answer only depends on those that the prompt names.
"""

from __future__ import annotations

import functools
from typing import Any

from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import RunnableBinding, RunnableParallel, RunnableSequence

from langgraph_parallel._compat.runnables import kind_of
from langgraph_parallel.lowering.exact.view import EarlyState


def narrowed(chain: Any) -> Any:
    """Return a chain in which prompts that are handed the node's state ask for their keys only."""
    kind = kind_of(chain)
    if kind is RunnableSequence:
        return chain.model_copy(update={"first": narrowed(chain.first)})
    if kind is RunnableParallel:
        steps = {key: narrowed(step) for key, step in chain.steps__.items()}
        return chain.model_copy(update={"steps__": steps})
    if kind is RunnableBinding:
        return chain.model_copy(update={"bound": narrowed(chain.bound)})
    if isinstance(chain, BasePromptTemplate):
        copied = chain.model_copy()
        object.__setattr__(copied, "__class__", _narrow_class(type(chain)))
        return copied
    return chain


@functools.cache
def _narrow_class(kind: Any) -> Any:
    """Return a subclass of a prompt's class that takes single keys out of a state."""

    def taken(prompt: Any, given: Any) -> Any:
        if type(given) is not EarlyState:
            return given
        names = (*prompt.input_variables, *prompt.optional_variables)
        return {name: given[name] for name in names if name in given}

    def check(self: Any, given: Any) -> Any:
        return kind._validate_input(self, taken(self, given))

    own = {"_validate_input": check, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), own)
