"""From runs of a graph to what each node was seen to do: a recording only ever widens an analysis.

    recording = record(graph)          # same answers, watched
    recording.graph.invoke(...)        # any number of runs, in any thread or event loop
    recording.effects("node"), recording.durations, recording.to_json()

A run shows that a node *may* read a key, never that it cannot. So `widen` adds what was seen to
what was inferred and takes nothing away. Only names of keys, nodes and error types and numbers are
kept.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar, cast

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import TypeAdapter, ValidationError

from langgraph_parallel._compat.builder import clone_builder, compile_like
from langgraph_parallel._compat.channels import is_plain_channel
from langgraph_parallel.effects import ALL, Effects, Evidence, Keys, union
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.reading.course import Course
from langgraph_parallel.reading.passages import CourseForm, Passages, Seen, as_course
from langgraph_parallel.reading.probe import Observation, Probe, observe

_T = TypeVar("_T")
_VERSION: Final = 1


class Recording:
    """What the nodes of a graph were seen to do in the runs of `graph` so far.

    It may be read at any time, also while runs are under way. Memory is bounded by the number of
    nodes and state keys, and by the latest 64 runs. A node of a sub-graph is called `host/node`.
    """

    def __init__(
        self,
        graph: CompiledStateGraph[Any, Any, Any, Any] | None,
        sources: Mapping[str, Probe | Observation],
        unobserved: Mapping[str, str],
        passages: Passages | Seen | None = None,
    ) -> None:
        self._graph = graph
        self._sources = dict(sources)
        self._passages = passages or Seen()
        self.unobserved: Mapping[str, str] = dict(unobserved)
        """Nodes that are not watched, each with the reason."""

    @property
    def graph(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The graph to run; it answers like the one given to `record`.

        Raises:
            AnalysisError: If the recording was loaded with `from_json`.
        """
        if self._graph is None:
            msg = "A recording loaded from JSON has no graph to run; call record(graph) for one."
            raise AnalysisError(msg)
        return self._graph

    @property
    def observations(self) -> Mapping[str, Observation]:
        """What was seen so far, by node name, without the nodes that are not watched."""
        return {
            name: source if isinstance(source, Observation) else source.observation()
            for name, source in self._sources.items()
        }

    @property
    def runs(self) -> Mapping[str, int]:
        """How often each watched node ran, retries and interrupted runs included."""
        return {name: seen.runs for name, seen in self.observations.items()}

    @property
    def durations(self) -> Mapping[str, float]:
        """Median wall seconds of each node, over its latest 256 runs that came to their end.

        A node without such a run is missing. This is what `ParallelConfig.durations` takes.
        """
        found = self.observations.items()
        return {name: seen.median_s for name, seen in found if seen.median_s is not None}

    @property
    def calls(self) -> Mapping[str, Mapping[str, int]]:
        """How often each node called models, tools and retrievers, by `kind file:line`.

        Calls that go around LangChain, such as those of a provider's own client, are not seen.
        """
        return self._passages.calls

    def courses(self, host: str = "") -> tuple[Course, ...]:
        """Return the latest runs that came to their end, as the nodes of each superstep.

        Args:
            host: The node whose sub-graph is meant; empty for the graph itself.
        """
        return self._passages.courses.get(host, ())

    def inside(self, host: str) -> Recording:
        """Return what was seen of the sub-graph that is the node `host`, under its own names."""
        start = f"{host}/"
        return Recording(
            None,
            _under(start, self._sources),
            _under(start, self.unobserved),
            Seen(
                courses={"": self.courses(host), **_under(start, self._passages.courses)},
                calls=_under(start, self._passages.calls),
            ),
        )

    def effects(self, node: str) -> Effects:
        """Return what a node was seen to do; a lower bound of its effects, never an upper one.

        `ALL` means that a run used the state as a whole, or returned what cannot be read: the keys
        are not known. The effects of a node that was not watched or did not run are empty.

        Raises:
            AnalysisError: If the recorded graph has no such node.
        """
        if node in self.unobserved:
            note = Evidence(what=f"not watched: {self.unobserved[node]}")
            return Effects(evidence=(note,), certain=False)
        source = self._sources.get(node)
        if source is None:
            names = ", ".join(sorted((*self._sources, *self.unobserved)))
            msg = f"The recording has no node {node!r}; its nodes are {names}."
            raise AnalysisError(msg)
        return _effects_of(source if isinstance(source, Observation) else source.observation())

    def to_json(self) -> str:
        """Return the recording as JSON: names of keys, nodes and error types, and numbers."""
        nodes = {name: dataclasses.asdict(seen) for name, seen in self.observations.items()}
        form = {
            "version": _VERSION,
            "nodes": nodes,
            "unobserved": self.unobserved,
            "calls": self.calls,
            "courses": {
                host: [[[row.nodes, row.is_sent] for row in course.rows] for course in found]
                for host, found in self._passages.courses.items()
            },
        }
        return json.dumps(form, default=sorted, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Recording:
        """Return a recording that `to_json` wrote, without its graph.

        Raises:
            AnalysisError: If the text is not such a recording.
        """
        try:
            form = json.loads(text)
            version = form["version"]
            nodes = TypeAdapter(dict[str, Observation]).validate_python(form["nodes"])
            unobserved = TypeAdapter(dict[str, str]).validate_python(form["unobserved"])
            calls = TypeAdapter(dict[str, dict[str, int]]).validate_python(form.get("calls", {}))
            courses = TypeAdapter(CourseForm).validate_python(form.get("courses", {}))
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            msg = f"This is not a recording written by to_json(): {type(error).__name__}."
            raise AnalysisError(msg) from error
        if version != _VERSION:
            msg = f"The recording has format {version!r}, this version reads {_VERSION}."
            raise AnalysisError(msg)
        seen = {host: tuple(map(as_course, found)) for host, found in courses.items()}
        return cls(None, nodes, unobserved, Seen(courses=seen, calls=calls))

    def __str__(self) -> str:
        lines = []
        for name in (*self._sources, *self.unobserved):
            sites = (f"{site} {count}x" for site, count in self.calls.get(name, {}).items())
            lines.append(", ".join((f"{name}: {self.effects(name)}", *sites)))
        return "\n".join(lines)


def _under(start: str, found: Mapping[str, _T]) -> dict[str, _T]:
    """Return the entries whose name begins so, under the rest of their name."""
    return {n.removeprefix(start): value for n, value in found.items() if n.startswith(start)}


def record(
    graph: StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any],
    *,
    skip: Iterable[str] = (),
    clock: Callable[[], float] = time.perf_counter,
) -> Recording:
    """Return a recording whose `graph` does what the given one does and is watched while it runs.

    Args:
        graph: A `StateGraph` or a compiled one; it is not changed.
        skip: Nodes that are handed the state itself: they are timed and their updates seen, but not
            what they read. For code that asks for `type(state)`, such as `yaml.safe_dump(state)`.
        clock: Seconds, monotonic.

    Returns:
        The recording; its graph has every compile and post-compile setting of the given one.

    Raises:
        AnalysisError: If `graph` is not a LangGraph state graph, or `skip` names an unknown node.
    """
    builder = _clone(graph)
    skipped = frozenset(skip)
    watch = _Watch(skipped=skipped, clock=clock)
    watch.over(builder, "", graph)
    if unknown := sorted(skipped - watch.probes.keys() - watch.unobserved.keys()):
        msg = f"skip= names {unknown[0]!r}, which is not a node of the graph."
        raise AnalysisError(msg)
    passages = Passages(watch.probes.keys() | watch.unobserved.keys(), watch.moved)
    made = _watched(_compile(builder, graph), passages)
    return Recording(made, watch.probes, watch.unobserved, passages)


@dataclasses.dataclass(slots=True)
class _Watch:
    """Puts probes into a private builder, and into the sub-graphs that are its nodes."""

    skipped: frozenset[str]
    clock: Callable[[], float]
    probes: dict[str, Probe] = dataclasses.field(default_factory=dict)
    unobserved: dict[str, str] = dataclasses.field(default_factory=dict)
    moved: set[str] = dataclasses.field(default_factory=set)
    """Graphs, by host, whose nodes stand in other supersteps than in their source."""

    def over(self, builder: StateGraph[Any, Any, Any, Any], start: str, graph: Any) -> None:
        """Watch every node of a builder.

        Args:
            builder: A private clone, which is changed.
            start: What the names of its nodes begin with, such as `host/`.
            graph: What it was cloned from.
        """
        if getattr(getattr(graph, "parallel_rewrite", None), "moved", ()):
            self.moved.add(start.removesuffix("/"))
        all_channels = (*builder.channels.items(), *builder.managed.items())
        for name, spec in builder.nodes.items():
            probe = Probe(
                keys=None if start + name in self.skipped else _keys(builder, spec.input_schema),
                channels={key: is_plain_channel(channel) for key, channel in all_channels},
                nodes=frozenset(builder.nodes),
                clock=self.clock,
            )
            runnable = spec.runnable
            if isinstance(runnable, CompiledStateGraph):
                runnable = self._inside(runnable, f"{start}{name}/")
            try:
                spec.runnable = observe(runnable, probe)
                self.probes[start + name] = probe
            except (TypeError, AttributeError) as error:
                kind = type(spec.runnable).__name__
                self.unobserved[start + name] = f"a {kind} cannot be watched: {error}"

    def _inside(self, graph: Any, start: str) -> Any:
        """Return a sub-graph whose nodes are watched as well."""
        inner = clone_builder(graph.builder)
        self.over(inner, start, graph)
        return _compile(inner, graph)


def _watched(graph: Any, passages: Passages) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Make a compiled graph tell what its runs do, whatever callbacks they are given."""
    kind = type(graph)

    def stream(self: Any, input: Any, config: Any = None, **options: Any) -> Any:
        return kind.stream(self, input, passages.added_to(config, self.config), **options)

    def astream(self: Any, input: Any, config: Any = None, **options: Any) -> Any:
        return kind.astream(self, input, passages.added_to(config, self.config), **options)

    same = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    graph.__class__ = type(kind.__name__, (kind,), {**same, "stream": stream, "astream": astream})
    return cast("CompiledStateGraph[Any, Any, Any, Any]", graph)


def _clone(graph: Any) -> StateGraph[Any, Any, Any, Any]:
    if isinstance(graph, CompiledStateGraph):
        return clone_builder(graph.builder)
    if isinstance(graph, StateGraph):
        return clone_builder(graph)
    msg = f"record() takes a StateGraph or a compiled one, not {type(graph).__name__!r}."
    raise AnalysisError(msg)


def _keys(builder: StateGraph[Any, Any, Any, Any], schema: Any) -> frozenset[str] | None:
    """Return the keys of a node's input; None when its state is one value without keys."""
    keys = frozenset(builder.schemas.get(schema, {}))
    return None if "__root__" in keys else keys


def _compile(
    builder: StateGraph[Any, Any, Any, Any], graph: Any
) -> CompiledStateGraph[Any, Any, Any, Any]:
    if isinstance(graph, StateGraph):
        return builder.compile()
    compiled: Any = compile_like(builder, graph)
    if type(compiled) is not type(graph):
        # A rewritten graph guards its threads by the topology, which is the same here.
        compiled.__class__ = type(graph)
        if (rewrite := vars(graph).get("parallel_rewrite")) is not None:
            compiled.parallel_rewrite = rewrite
    return cast("CompiledStateGraph[Any, Any, Any, Any]", compiled)


def _effects_of(seen: Observation) -> Effects:
    notes = [f"seen in {seen.runs} run{'' if seen.runs == 1 else 's'}"]
    if seen.whole:
        notes.append(f"used the state as a whole in {seen.whole} of them")
    if seen.opaque:
        notes.append(f"returned what cannot be read in {seen.opaque} of them")
    notes += [f"raised {name} in {count} of them" for name, count in sorted(seen.errors.items())]
    return Effects(
        reads=ALL if seen.whole else seen.reads,
        writes=ALL if seen.opaque else seen.writes,
        mutates=seen.mutates,
        control=seen.control,
        goto=seen.goto,
        folds=seen.writes - seen.overwrites,
        keeps=seen.keeps - seen.writes,
        evidence=tuple(Evidence(what=note) for note in notes),
        certain=False,
    )


def widen(static: Effects, observed: Effects) -> Effects:
    """Return the effects of a node with what a trace adds to them.

    No set becomes smaller, and neither a contact with the world nor a way to leave the straight
    line is ever taken away. `ALL` in a trace says that the keys could not be told apart, which is
    no evidence against an analysis that is certain of them.

    Args:
        static: Declared or inferred effects.
        observed: What `Recording.effects` returns for the node.

    Returns:
        `static` itself when the trace adds nothing; else effects that are not certain, since the
        trace has shown `static` to be too small.
    """
    written = observed.writes if observed.writes is ALL else observed.writes | observed.keeps
    changed = frozenset() if observed.writes is ALL else observed.writes
    seen = written if written is ALL else written - (static.keeps - changed)
    reads = _wider(static, static.reads, observed.reads)
    writes = _wider(static, static.writes, seen)
    mutates = _wider(static, static.mutates, observed.mutates)
    wider = dataclasses.replace(
        static,
        reads=reads,
        writes=writes,
        mutates=mutates,
        control=static.control | observed.control,
        external=static.external | observed.external,
        goto=union(static.goto, observed.goto),
        folds=static.folds - (changed - observed.folds),
        keeps=static.keeps - changed,
        made=static.made - changed,
        resources=static.resources | observed.resources,
    )
    if wider == static:
        return static
    notes = tuple(_differences(static, wider, observed))
    return dataclasses.replace(wider, evidence=(*static.evidence, *notes), certain=False)


def _wider(static: Effects, known: Keys, seen: Keys) -> Keys:
    return known if seen is ALL and static.certain else union(known, seen)


def _differences(static: Effects, wider: Effects, observed: Effects) -> Iterator[Evidence]:
    """Yield what a trace has added, with the number of runs in which it was seen."""
    where = str(observed.evidence[0]) if observed.evidence else "seen in a trace"
    for verb, before, after in (
        ("reads", static.reads, wider.reads),
        ("writes", static.writes, wider.writes),
        ("mutates", static.mutates, wider.mutates),
        ("may leave by", static.control, wider.control),
    ):
        if after is ALL and before is not ALL:
            yield Evidence(what=f"{verb} keys that could not be told apart, {where}")
        elif before is not ALL and after is not ALL and (more := after - before):
            yield Evidence(what=f"{verb} {', '.join(map(repr, sorted(more)))}, {where}")
