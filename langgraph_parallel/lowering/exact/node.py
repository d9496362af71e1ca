"""A node in exact mode: hands over its early result if that is what running it now would give."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import patch_config, var_child_runnable_config
from langchain_core.runnables.utils import accepts_config

from langgraph_parallel._compat.runnables import RunnableCallable, copy_runnable
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
        options = {"config": config} if accepts_config(self.func) else {}
        return _no_runnable(self.func(state, **options))

    async def arun_early(self, state: Any, config: RunnableConfig) -> Any:
        """Run the async function on the state as foreseen."""
        options = {"config": config} if accepts_config(self.afunc) else {}
        return _no_runnable(await self.afunc(state, **options))

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
    kind = ExactLambda if isinstance(runnable, RunnableLambda) else ExactFunction
    made: ExactNode = copy_runnable(runnable, kind)
    made.exact_name = name
    return made
