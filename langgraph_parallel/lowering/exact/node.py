"""A node in exact mode: hands over its early result if that is what running it now would give."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config

from langgraph_parallel._compat.runnables import RunnableCallable, copy_runnable
from langgraph_parallel.lowering.exact.events import OwnRun
from langgraph_parallel.lowering.exact.launchers import TaskLauncher, ThreadLauncher
from langgraph_parallel.lowering.exact.run import EarlyRun
from langgraph_parallel.lowering.exact.sandbox import stamp
from langgraph_parallel.lowering.exact.session import CURRENT


class ExactNode(RunnableCallable):
    """A node's function, in a graph whose nodes may start early.

    LangGraph sees what it saw before: the function, its name, its sub-graphs, whether it is
    synchronous.
    """

    stands_for_function = True
    exact_name: str
    """Name of the node in its graph."""

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the node, or hand over what it gave when it ran early."""
        session = CURRENT.get()
        if session is None or config is None or not session.knows(self):
            return super().invoke(input, config, **kwargs)
        run = session.arrive(self.exact_name, config)
        own = stamp(config, session.setting(self.exact_name), early=run is not None)
        if run is not None:
            assert isinstance(session.launcher, ThreadLauncher)
            if session.may_fit(run, input):
                session.launcher.wait(run)
            if session.fits(run, input):
                run.held.tell(own, OwnRun(own, _metadata(run)))
                result = run.result
                session.ended(self.exact_name, config, result)
                return result
        var_child_runnable_config.set(own)
        result = super().invoke(input, own, **kwargs)
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
                await run.held.atell(own, OwnRun(own, _metadata(run)))
                result = run.result
                session.ended(self.exact_name, config, result)
                return result
        var_child_runnable_config.set(own)
        result = await super().ainvoke(input, own, **kwargs)
        session.ended(self.exact_name, config, result)
        return result


def _metadata(run: EarlyRun) -> dict[str, Any]:
    return dict(run.config.get("metadata") or {})


def as_exact_node(runnable: Any, name: str) -> ExactNode:
    """Return a node's function as an `ExactNode`; the argument is not changed."""
    made: ExactNode = copy_runnable(runnable, ExactNode)
    made.exact_name = name
    return made
