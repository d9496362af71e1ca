"""A node in exact mode: hands over its early result if that is what running it now would give."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnableSequence
from langchain_core.runnables.config import (
    patch_config,
    set_config_context,
    var_child_runnable_config,
)
from langchain_core.runnables.utils import accepts_config

from langgraph_parallel._compat.runnables import RunnableCallable, copy_runnable, is_chain
from langgraph_parallel.lowering.exact.chains import narrowed
from langgraph_parallel.lowering.exact.events import OwnRun
from langgraph_parallel.lowering.exact.launchers import TaskLauncher, ThreadLauncher
from langgraph_parallel.lowering.exact.run import EarlyRun
from langgraph_parallel.lowering.exact.sandbox import stamp
from langgraph_parallel.lowering.exact.session import CURRENT
from langgraph_parallel.lowering.exact.view import EarlyRunAbandoned


class ExactNode(Runnable[Any, Any]):
    """A node in a graph whose nodes may start early; a mix-in before the class that it stands for.

    LangGraph sees what it saw before: the function, its name, its sub-graphs, whether it is
    synchronous.
    """

    exact_name: str
    """Name of the node in its graph."""

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the node, or hand over what it gave when it ran early."""
        session = CURRENT.get()
        if session is None or config is None or not session.knows(self):
            return super().invoke(input, config, **kwargs)  # type: ignore[safe-super]
        run = session.arrive(self.exact_name, config)
        own = stamp(config, session.setting(self.exact_name), early=run is not None)
        if run is not None:
            assert isinstance(session.launcher, ThreadLauncher)
            if session.may_fit(run, input):
                session.launcher.wait(run)
            if session.fits(run, input):
                result = self.hand_over(run, input, own)
                session.ended(self.exact_name, config, result)
                return result
        var_child_runnable_config.set(own)
        result = super().invoke(input, own, **kwargs)  # type: ignore[safe-super]
        session.ended(self.exact_name, config, result)
        return result

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the node, or hand over what it gave when it ran early."""
        session = CURRENT.get()
        if session is None or config is None or not session.knows(self):
            return await super().ainvoke(input, config, **kwargs)
        run = session.arrive(self.exact_name, config)
        own = stamp(config, session.setting(self.exact_name), early=run is not None)
        if run is not None:
            assert isinstance(session.launcher, TaskLauncher)
            if session.may_fit(run, input):
                await session.launcher.wait(run)
            if session.fits(run, input):
                result = await self.ahand_over(run, input, own)
                session.ended(self.exact_name, config, result)
                return result
        var_child_runnable_config.set(own)
        result = await super().ainvoke(input, own, **kwargs)
        session.ended(self.exact_name, config, result)
        return result

    def hand_over(self, run: EarlyRun, input: Any, config: RunnableConfig) -> Any:
        """Tell what an early run has told, as if it happened now, and return its result."""
        del input
        run.held.tell(config, OwnRun(config, _metadata(run)))
        return run.result

    async def ahand_over(self, run: EarlyRun, input: Any, config: RunnableConfig) -> Any:
        """Tell what an early run has told, as if it happened now, and return its result."""
        del input
        await run.held.atell(config, OwnRun(config, _metadata(run)))
        return run.result


def _metadata(run: EarlyRun) -> dict[str, Any]:
    return dict(run.config.get("metadata") or {})


class ExactFunction(ExactNode, RunnableCallable):
    """A node that is a function."""

    stands_for_function = True

    def run_early(self, state: Any, config: RunnableConfig) -> Any:
        """Run the function on the state as foreseen."""
        return RunnableCallable.invoke(self, state, config)

    async def arun_early(self, state: Any, config: RunnableConfig) -> Any:
        """Run the async function on the state as foreseen."""
        return await RunnableCallable.ainvoke(self, state, config)


class ExactLambda(ExactNode, RunnableLambda[Any, Any]):
    """A node that is a function in a `RunnableLambda`, which reports each run of it as a chain.

    The function runs early alone. The chain's own run begins and ends in the node's superstep, with
    what the function has told in between.
    """

    stands_for_lambda = True

    def run_early(self, state: Any, config: RunnableConfig) -> Any:
        """Run the function on the state as foreseen."""
        own = below(config)
        var_child_runnable_config.set(own)
        options = {"config": own} if accepts_config(self.func) else {}
        return _no_runnable(self.func(state, **options))

    async def arun_early(self, state: Any, config: RunnableConfig) -> Any:
        """Run the async function on the state as foreseen."""
        own = below(config)
        var_child_runnable_config.set(own)
        options = {"config": own} if accepts_config(self.afunc) else {}
        function: Any = self.afunc
        return _no_runnable(await function(state, **options))

    def hand_over(self, run: EarlyRun, input: Any, config: RunnableConfig) -> Any:
        """Report the run of the chain, and what the function has told, and return its result."""

        def give(_: Any, run_manager: Any, config: RunnableConfig) -> Any:
            inner = patch_config(config, callbacks=run_manager.get_child())
            run.held.tell(inner, OwnRun(inner, _metadata(run)))
            return run.result

        return self._call_with_config(give, input, config)

    async def ahand_over(self, run: EarlyRun, input: Any, config: RunnableConfig) -> Any:
        """Report the run of the chain, and what the function has told, and return its result."""

        async def give(_: Any, run_manager: Any, config: RunnableConfig) -> Any:
            inner = patch_config(config, callbacks=run_manager.get_child())
            await run.held.atell(inner, OwnRun(inner, _metadata(run)))
            return run.result

        return await self._acall_with_config(give, input, config)


class _Chain(Runnable[Any, Any]):
    """A chain, as something that may be mixed with.

    LangGraph takes a sequence apart and runs its steps itself, each as a step of the node.
    """

    def __init__(self, chain: Any) -> None:
        self.chain = chain
        self.name = chain.get_name()
        self.steps = chain.steps if isinstance(chain, RunnableSequence) else [chain]

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        step: Any
        for index, step in enumerate(self.steps):
            own = below(config or {}, f"seq:step:{index + 1}")
            if index:
                input = step.invoke(input, own)
            else:
                with set_config_context(own) as context:
                    input = context.run(step.invoke, input, own, **kwargs)
        return input

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        for index, step in enumerate(self.steps):
            own = below(config or {}, f"seq:step:{index + 1}")
            if index:
                input = await step.ainvoke(input, own)
            else:
                with set_config_context(own) as context:
                    first = step.ainvoke(input, own, **kwargs)
                    input = await asyncio.create_task(first, context=context)
        return input


class ExactChain(ExactNode, _Chain):
    """A node that is a sequence, or several runnables side by side."""

    stands_for_chain = True

    def __init__(self, chain: Any) -> None:
        super().__init__(chain)
        self._narrowed = _Chain(narrowed(chain))

    def run_early(self, state: Any, config: RunnableConfig) -> Any:
        """Run the chain on the state as foreseen."""
        return self._narrowed.invoke(state, config)

    async def arun_early(self, state: Any, config: RunnableConfig) -> Any:
        """Run the chain on the state as foreseen."""
        return await self._narrowed.ainvoke(state, config)


def below(config: RunnableConfig, tag: str = "") -> RunnableConfig:
    """Return the settings of a child of the node's run, which only has the tags that are its own.

    Args:
        config: The settings of the node.
        tag: A tag of the child; empty for none.
    """
    manager = config.get("callbacks")
    if not isinstance(manager, BaseCallbackManager):
        return config
    child = type(manager)(handlers=[], parent_run_id=manager.parent_run_id)
    child.set_handlers(manager.inheritable_handlers)
    child.add_tags(manager.inheritable_tags)
    child.add_metadata(manager.inheritable_metadata)
    if tag:
        child.add_tags([tag], inherit=False)
    return patch_config(config, callbacks=child)


# Callback handlers are told the name and the module of what runs.
ExactLambda.__name__ = RunnableLambda.__name__
ExactLambda.__module__ = RunnableLambda.__module__


def _no_runnable(result: Any) -> Any:
    if isinstance(result, Runnable):
        msg = "its function returns a runnable, which is run in its turn"
        raise EarlyRunAbandoned(msg)
    return result


def as_exact_node(runnable: Any, name: str) -> ExactNode:
    """Return a node's function as an `ExactNode`; the argument is not changed."""
    made: ExactNode
    if is_chain(runnable):
        made = ExactChain(getattr(runnable, "chain", runnable))
    else:
        kind = ExactLambda if isinstance(runnable, RunnableLambda) else ExactFunction
        made = copy_runnable(runnable, kind)
    made.exact_name = name
    return made
