"""Run tree: finds the root run of every model call, in any thread or task, without user code.

LangChain gives each run its own id and its parent's. A callback handler that LangChain adds to
every run by itself (`register_configure_hook`) follows the parents up to the root, which is one
graph run. The handler also tells the model *inside* its `_generate` or `_stream` which run this is:
it runs inline, in the caller's context, and sets a context variable; LangChain itself passes no
run manager to streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections import OrderedDict, deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from langgraph_rsm.identity.forks import renew_in_children
from langgraph_rsm.identity.lineage import Lineage, Strand, Superstep
from langgraph_rsm.identity.programs import hold_program, release_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

_KEPT_LINKS = 1024
"""Ended runs per root that stay known, for work that goes on after its parent has returned."""
_MAX_ROOTS = 65_536
"""Roots whose end never came (a killed thread) are forgotten beyond this many, oldest first."""
_METADATA = (
    "run_id",
    "lc_agent_name",
    "langgraph_parallel",
    "langgraph_node",
    "langgraph_checkpoint_ns",
)


@dataclass(slots=True, kw_only=True, eq=False)
class Root:
    """A run without a parent, and everything below it; only the tree changes it."""

    root_id: UUID
    name: str
    """Name of the root run, such as that of the compiled graph; may be empty."""
    stands_in: bool = False
    """Whether the run itself was never seen: it began before this module was imported, or is over
    while work that it started goes on. Its end will not be told; it goes with its last live run."""
    live: int = 0
    """Runs below it, itself included, that have begun and not ended."""
    closed: bool = False
    """Whether the root run has ended."""
    members: set[UUID] = field(default_factory=set)
    ended: deque[UUID] = field(default_factory=deque)
    programs: set[str] = field(default_factory=set)
    """Programs that calls below this root belong to; held until it ends."""
    lineage: Lineage | None = None
    """Order of its tasks and calls; None if it is a single call of a model."""
    program_id: str = ""
    """Its id as a program."""

    def __post_init__(self) -> None:
        self.program_id = str(self.root_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRun:
    """One run of a chat model."""

    run_id: UUID
    root: Root
    metadata: Mapping[str, Any]
    """The few entries of the run's metadata that say where it is; may be empty."""
    work: tuple[Lineage, Strand] | None = None
    """The order of the root's calls, and the strand that it is a step of; None for a root."""


_current: ContextVar[ChatRun | None] = ContextVar("langgraph_rsm_chat_run", default=None)


class RunTree(BaseCallbackHandler):
    """Roots of all live runs of the process."""

    run_inline = True  # in the caller's context, where the context variable must be set

    def __init__(self) -> None:
        # Reentrant: a finalizer may end a call in the middle of any step.
        self._lock = threading.RLock()
        renew_in_children(self)
        self._root_of: dict[UUID, Root] = {}
        self._roots: OrderedDict[UUID, Root] = OrderedDict()
        self._chats: dict[UUID, ChatRun] = {}
        # LangChain tells no end of a call that is cancelled before it reaches the model: such a run
        # goes with its task.
        self._tasks: dict[UUID, weakref.ref[asyncio.Task[Any]]] = {}
        self._lost: deque[UUID] = deque()

    def renew_after_fork(self) -> None:
        """Use a lock that nobody holds."""
        self._lock = threading.RLock()

    def chat_run(self, run_id: UUID | None) -> ChatRun | None:
        """Return the live model run of that id, or with None the one of the present context."""
        if run_id is not None:
            return self._chats.get(run_id)
        current = _current.get()
        return current if current is not None and current.run_id in self._chats else None

    def claim(self, root: Root, program_id: str) -> bool:
        """Hold a program until the root run ends; False if that run has ended already."""
        with self._lock:
            if root.closed:
                return False
            if program_id not in root.programs:
                root.programs.add(program_id)
                hold_program(program_id)
            return True

    def forget_chat(self, run_id: UUID) -> None:
        """End a model run of whose end LangChain may not tell; harmless if it did or will."""
        self._leave(run_id)

    def count_links(self) -> int:
        """Return how many runs are known; 0 when no root run is open."""
        # Not `__len__`: LangChain tests handlers for truth, and an empty tree must count.
        self._forget_lost()
        return len(self._root_of)

    # Callbacks

    def on_chain_start(
        self,
        *_: Any,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Link a chain, node or graph to its root."""
        root = self._enter(run_id, parent_run_id, kwargs.get("name"))
        if root.lineage is None:
            root.lineage = Lineage()
        known = metadata or {}
        namespace = known.get("langgraph_checkpoint_ns", "")
        root.lineage.step(namespace, _superstep(parent_run_id, known))

    def on_tool_start(
        self,
        *_: Any,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Link a tool to its root; agents may run inside."""
        self.on_chain_start(run_id=run_id, parent_run_id=parent_run_id, metadata=metadata, **kwargs)

    def on_chat_model_start(
        self,
        *_: Any,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Link a model call, and make it known to the model in this context."""
        root = self._enter(run_id, parent_run_id, kwargs.get("name"))
        known = metadata or {}
        where = {key: known[key] for key in _METADATA if key in known}
        work = None
        if (lineage := root.lineage) is not None:
            work = lineage, lineage.strand(where.get("langgraph_checkpoint_ns", ""))
        chat = ChatRun(run_id=run_id, root=root, metadata=where, work=work)
        self._chats[run_id] = chat
        _current.set(chat)
        task = _current_task()
        if task is not None:
            # Called at any moment, perhaps under the lock: so it only takes a note.
            self._tasks[run_id] = weakref.ref(task, lambda _: self._lost.append(run_id))

    def on_chain_end(self, *_: Any, run_id: UUID, **_kwargs: Any) -> None:
        """Forget the run, and with a root everything below."""
        self._leave(run_id)

    def on_chain_error(self, *_: Any, run_id: UUID, **_kwargs: Any) -> None:
        """Forget the run, and with a root everything below."""
        self._leave(run_id)

    def on_tool_end(self, *_: Any, run_id: UUID, **_kwargs: Any) -> None:
        """Forget the run, and with a root everything below."""
        self._leave(run_id)

    def on_tool_error(self, *_: Any, run_id: UUID, **_kwargs: Any) -> None:
        """Forget the run, and with a root everything below."""
        self._leave(run_id)

    def on_llm_end(self, *_: Any, run_id: UUID, **_kwargs: Any) -> None:
        """Forget the model call."""
        self._leave(run_id)

    def on_llm_error(self, *_: Any, run_id: UUID, **_kwargs: Any) -> None:
        """Forget the model call."""
        self._leave(run_id)

    # Links

    def _forget_lost(self) -> None:
        with contextlib.suppress(IndexError):  # emptied by another thread
            while self._lost:
                self._leave(self._lost.popleft())

    def _enter(self, run_id: UUID, parent_run_id: UUID | None, name: str | None) -> Root:
        if self._lost:
            self._forget_lost()
        evicted: set[str] = set()
        with self._lock:
            root = self._root_of.get(parent_run_id) if parent_run_id is not None else None
            if root is None:
                root = self._plant(run_id, parent_run_id, name)
                if len(self._roots) > _MAX_ROOTS:
                    evicted = self._close(next(iter(self._roots.values())))
            root.live += 1
            root.members.add(run_id)
            self._root_of[run_id] = root
        for program_id in evicted:
            release_program(program_id)
        return root

    def _plant(self, run_id: UUID, parent_run_id: UUID | None, name: str | None) -> Root:
        root = Root(
            root_id=parent_run_id or run_id,
            name=name or "",
            stands_in=parent_run_id is not None,
            lineage=None if parent_run_id is None else Lineage(),
        )
        self._roots[root.root_id] = self._root_of[root.root_id] = root
        root.members.add(root.root_id)
        return root

    def _leave(self, run_id: UUID) -> None:
        over: set[str] = set()
        self._tasks.pop(run_id, None)
        with self._lock:
            root = self._root_of.get(run_id)
            if root is None:
                return
            root.live -= 1
            if root.root_id == run_id or (root.stands_in and not root.live):
                over = self._close(root)
            elif self._chats.pop(run_id, None) is not None:
                self._unlink(root, run_id)  # nothing runs below a model call
            else:
                root.ended.append(run_id)
                if len(root.ended) > _KEPT_LINKS:
                    self._unlink(root, root.ended.popleft())
        for program_id in over:
            release_program(program_id)

    def _close(self, root: Root) -> set[str]:
        root.closed = True
        self._roots.pop(root.root_id, None)
        for run_id in tuple(root.members):  # a finalizer may end a run of the same root meanwhile
            self._root_of.pop(run_id, None)
            self._chats.pop(run_id, None)
        return root.programs

    def _unlink(self, root: Root, run_id: UUID) -> None:
        root.members.discard(run_id)
        self._root_of.pop(run_id, None)


def _current_task() -> asyncio.Task[Any] | None:
    loop = asyncio._get_running_loop()  # as `get_running_loop`, without an exception
    return None if loop is None else asyncio.current_task(loop)


def _superstep(graph_run_id: UUID | None, metadata: Mapping[str, Any]) -> Superstep | None:
    """Return the superstep of a task; None for a `@task`, which begins when it is called."""
    path = metadata.get("langgraph_path", ())
    if not path or path[-1] is True:
        return None
    return graph_run_id, metadata.get("langgraph_step", 0)


run_tree = RunTree()
"""The tree of this process."""

_handler_var: ContextVar[BaseCallbackHandler | None] = ContextVar(
    "langgraph_rsm_run_tree", default=run_tree
)
register_configure_hook(_handler_var, inheritable=True)
