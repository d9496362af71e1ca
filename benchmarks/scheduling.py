"""Compare scheduling policies in simulation, with the scheduler's own core and a modeled engine.

Run `python -m benchmarks.scheduling` (an hour on two cores; `--quick` takes a minute). It
writes `scheduling.md` with the tables, `scheduling.jsonl` with all raw numbers, and the curves as
pictures into `benchmarks/results`. Cases that are in the raw file already are not run again;
`--fresh` forgets them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.scheduling_cases import Case, run_case
from benchmarks.scheduling_report import write_report

RESULTS = Path(__file__).parent / "results"

MIXED_RATES: dict[str, tuple[float, ...]] = {
    "fcfs, no prefix cache": (0.08, 0.1, 0.13, 0.17),
    "fcfs": (0.6, 0.7, 0.8, 1.3),
    "plas": (0.6, 0.7, 0.8, 1.3),
    "plas, working set": (0.7, 0.8, 1.3),
    "auto": (0.8, 1.0, 1.3, 1.7, 2.4),
    "auto, working set": (1.0, 1.3),
    "auto, saved history": (0.8, 1.0, 1.3, 1.7, 2.4),
    "srpt_oracle": (0.8, 1.0, 1.3),
    "gittins": (1.0, 1.3),
    "atlas": (0.8,),
    "program_fcfs": (0.8,),
    "round_robin": (0.8,),
}
"""Programs per second, around the points where s/token is 0.03 and 0.05, up to twice capacity."""
SHORT_RATES: dict[str, tuple[float, ...]] = {
    "fcfs, no prefix cache": (0.2, 0.24),
    "fcfs": (0.85, 0.95, 1.1, 1.75),
    "plas": (1.0, 1.3, 1.75),
    "auto": (1.75, 2.6, 4.0),
    "auto, saved history": (1.75, 2.6, 4.0),
}
"""The same for the other reading of the published prompts."""
SEATS_RATES: dict[str, tuple[float, ...]] = {
    "fcfs, no prefix cache": (0.08, 0.1, 0.13),
    "fcfs": (0.9, 1.1, 1.5),
    "plas": (0.9, 1.1, 1.5),
    "auto": (0.9, 1.1, 1.5),
}
"""The same for 256 seats: the paper does not say how many it took."""


def mixed_cases(seeds: int, programs: int) -> Iterator[Case]:
    return sweep("mixed", MIXED_RATES, seeds, programs)


def short_cases(seeds: int, programs: int) -> Iterator[Case]:
    return sweep("mixed_short", SHORT_RATES, seeds, programs)


def seats_cases(seeds: int, programs: int) -> Iterator[Case]:
    return sweep("mixed, 256 seats", SEATS_RATES, min(seeds, 3), programs, seats=256)


def sweep(
    study: str,
    rates: dict[str, tuple[float, ...]],
    seeds: int,
    programs: int,
    *,
    seats: int | None = None,
) -> Iterator[Case]:
    for label, swept in rates.items():
        for rate, seed in itertools.product(swept, range(1, seeds + 1)):
            yield Case(
                study=study,
                label=label,
                workload=study.split(",")[0],
                rate=rate,
                seed=seed,
                programs=programs,
                policy=label.split(",")[0],
                seats=seats,
                caching="no prefix cache" not in label,
                trained="saved history" in label,
                working_set="working set" in label,
            )


def lats_cases(seeds: int, programs: int) -> Iterator[Case]:
    policies = ("fcfs", "program_fcfs", "plas", "atlas", "auto", "srpt_oracle")
    for policy, seed in itertools.product(policies, range(1, seeds + 1)):
        yield Case(
            study="lats",
            label=policy,
            workload="lats",
            rate=0.42,
            seed=seed,
            programs=programs // 4,
            policy=policy,
        )


def chat_cases(seeds: int, programs: int) -> Iterator[Case]:
    """Conversations whose contexts do not fit together into the engine's memory."""
    policies = ("fcfs", "program_fcfs", "plas", "gittins", "auto", "srpt_oracle")
    memories: tuple[tuple[str, dict[str, Any]], ...] = (
        ("", {}),
        (", working set", {"working_set": True}),
        (", unlimited memory", {"kv_tokens": 1_000_000_000}),
    )
    for policy, (memory, changes) in itertools.product(policies, memories):
        for seed in range(1, seeds + 1):
            yield Case(
                study="chats",
                label=f"{policy}{memory}",
                workload="sharegpt",
                rate=2.2,
                seed=seed,
                programs=programs,
                policy=policy,
                **changes,
            )


def engine_cases(seeds: int, programs: int) -> Iterator[Case]:
    balancers = ("least_used", "round_robin", "power_of_two", "prefix", "autellix", "cost")
    for balancer, shared in itertools.product(balancers, (0, 1500)):
        swept = balancer in ("least_used", "autellix", "cost")
        rates = (2.0, 3.0, 4.0, 5.0, 6.0) if swept else (4.0,)
        for rate, seed in itertools.product(rates, range(1, seeds + 1)):
            yield Case(
                study=f"engines, {'shared' if shared else 'own'} system prompts",
                label=balancer,
                workload="sharegpt+bfcl",
                rate=rate,
                seed=seed,
                programs=programs,
                policy="auto",
                engines=4,
                balancer=balancer,
                shared_tokens=shared,
            )
    for (workload, rate), balancer in itertools.product(
        (("agents", 3.0), ("lats", 1.4), ("map_reduce", 1.5)), ("least_used", "autellix", "cost")
    ):
        for seed in range(1, min(seeds, 3) + 1):
            yield Case(
                study="engines, graphs",
                label=f"{workload}, {balancer}",
                workload=workload,
                rate=rate,
                seed=seed,
                programs=programs,
                policy="auto",
                engines=4,
                balancer=balancer,
            )


def tenant_cases(seeds: int, programs: int) -> Iterator[Case]:
    for policy, seed in itertools.product(("fcfs", "plas", "auto"), range(1, seeds + 1)):
        yield Case(
            study="tenants",
            label=policy,
            workload="sharegpt+bfcl_short",
            rate=50.0,
            seed=seed,
            programs=programs,
            policy=policy,
            tenants=(("bronze", 1.0), ("gold", 3.0)),
        )


def ablation_cases(seeds: int, programs: int) -> Iterator[Case]:
    base = Case(study="ablation", label="", workload="mixed", rate=1.2, seed=0, programs=programs)
    window = {"settings": (("adaptive_window", True),)}
    variants: list[tuple[str, dict[str, Any]]] = [
        ("auto", {}),
        ("auto, beta 1", {"settings": (("beta", 1.0),)}),
        ("auto, beta 8", {"settings": (("beta", 8.0),)}),
        ("auto, all defaults", {"settings": (("beta", 8.0), ("max_wait_s", 60))}),
        ("auto, call sites unknown", {"policy": "gittins"}),
        ("auto, working set", {"working_set": True}),
        ("auto, 256 in flight at 64 seats", {"capacity": 256}),
        ("auto, 256 at 64, adaptive window", {"capacity": 256} | window),
        ("auto, 64 at 64, adaptive window", window),
        ("plas", {"policy": "plas"}),
        ("plas, beta 1", {"policy": "plas", "settings": (("beta", 1.0),)}),
        ("plas, beta 8", {"policy": "plas", "settings": (("beta", 8.0),)}),
        ("plas, 4 levels", {"policy": "plas", "settings": (("levels", 4),)}),
        ("plas, 12 levels", {"policy": "plas", "settings": (("levels", 12),)}),
    ]
    for (label, changes), seed in itertools.product(variants, range(1, min(seeds, 3) + 1)):
        yield dataclasses.replace(
            base, **{"label": label, "seed": seed, "policy": "auto"} | changes
        )


def window_cases(seeds: int, programs: int) -> Iterator[Case]:
    """An engine of 64 seats: known, unknown, and looked for."""
    loads = (("mixed_short", 1.8), ("sharegpt", 1.2), ("agents", 0.9), ("map_reduce", 0.5))
    variants: tuple[tuple[str, dict[str, Any]], ...] = (
        ("64 seats known", {}),
        ("256 believed", {"capacity": 256}),
        ("256 believed, adaptive", {"capacity": 256, "settings": (("adaptive_window", True),)}),
        ("64 believed, adaptive", {"settings": (("adaptive_window", True),)}),
    )
    for (workload, rate), (label, changes) in itertools.product(loads, variants):
        for seed in range(1, min(seeds, 3) + 1):
            yield Case(
                study="adaptive window",
                label=f"{workload}, {label}",
                workload=workload,
                rate=rate,
                seed=seed,
                programs=programs,
                policy="auto",
                **changes,
            )


def shape_cases(seeds: int, programs: int) -> Iterator[Case]:
    """Slicing, and what a compiled graph tells."""
    slicing = [
        (f"{policy}, {f'slices of {quantum}' if quantum else 'whole answers'}", policy, quantum)
        for policy, quantum in itertools.product(("plas", "auto"), (None, 64, 256, 1024))
    ]
    for (label, policy, quantum), seed in itertools.product(slicing, range(1, seeds + 1)):
        yield Case(
            study="slicing",
            label=label,
            workload="reasoning",
            rate=1.8,
            seed=seed,
            programs=programs,
            policy=policy,
            quantum_tokens=quantum,
        )
    for hidden, seed in itertools.product((False, True), range(1, seeds + 1)):
        yield Case(
            study="paths",
            label=f"auto, paths {'hidden' if hidden else 'known'}",
            workload="uneven",
            rate=0.8,
            seed=seed,
            programs=programs // 2,
            policy="auto",
            hide_paths=hidden,
        )


def agent_cases(seeds: int, programs: int) -> Iterator[Case]:
    for policy, seed in itertools.product(("fcfs", "plas", "atlas", "auto"), range(1, seeds + 1)):
        yield Case(
            study="agents",
            label=policy,
            workload="agents",
            rate=2.0,
            seed=seed,
            programs=programs,
            policy=policy,
        )


STUDIES = {
    "mixed": mixed_cases,
    "engines": engine_cases,
    "chats": chat_cases,
    "mixed_short": short_cases,
    "lats": lats_cases,
    "agents": agent_cases,
    "shapes": shape_cases,
    "tenants": tenant_cases,
    "window": window_cases,
    "ablation": ablation_cases,
    "seats": seats_cases,
}


def run_all(cases: list[Case], raw: Path, *, processes: int) -> list[dict[str, Any]]:
    """Run the cases that the raw file lacks; it is written as they end, so nothing is lost."""
    known = load_raw(raw)
    wanted = [case for case in cases if key_of(dataclasses.asdict(case)) not in known]
    with multiprocessing.Pool(processes) as pool, raw.open("a", encoding="utf-8") as file:
        for done, row in enumerate(pool.imap_unordered(run_case, wanted), 1):
            known[key_of(row)] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{done} of {len(wanted)}: {row['study']}, {row['label']}", file=sys.stderr)
    return [known[key] for case in cases if (key := key_of(dataclasses.asdict(case))) in known]


def load_raw(raw: Path) -> dict[str, dict[str, Any]]:
    if not raw.exists():
        return {}
    rows = [json.loads(line) for line in raw.read_text(encoding="utf-8").splitlines()]
    return {key_of(row): row for row in rows}


def key_of(row: dict[str, Any]) -> str:
    names = [field.name for field in dataclasses.fields(Case)]
    return json.dumps([row[name] for name in names])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", default=",".join(STUDIES), help="comma-separated")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="1 seed, 40 programs")
    parser.add_argument("--fresh", action="store_true", help="forget earlier runs")
    parser.add_argument("--report-only", action="store_true", help="render what there is")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.programs = 1, 40
    options.out.mkdir(parents=True, exist_ok=True)
    raw = options.out / "scheduling.jsonl"
    if options.fresh:
        raw.unlink(missing_ok=True)
    if options.report_only:
        rows = list(load_raw(raw).values())
    else:
        os.nice(10)
        cases = [
            case
            for study in options.studies.split(",")
            for case in STUDIES[study](options.seeds, options.programs)
        ]
        cases.sort(key=lambda case: case.seed)  # an interrupted run has all studies of some seeds
        rows = run_all(cases, raw, processes=options.processes)
    write_report(rows, options.out)


if __name__ == "__main__":
    main()
