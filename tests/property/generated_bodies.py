"""Random function bodies as Python source, for properties of `concurrent_calls`.

Each is a function of some words. It asks, looks things up, prints, collects, changes lists, raises
and catches; what it does is seen in its result, in `SEEN` and in its exception.
"""

import asyncio
import itertools
import linecache
import os
import random
import threading
from collections import Counter

from langgraph_parallel import effects

SEEN: list[str] = []
CALLS: list[str] = []
_LOCK = threading.Lock()
_numbers = itertools.count()


class Trouble(Exception):
    pass


class Pace:
    """How long calls take, in turns that others get: the later ones may overtake the earlier."""

    rng = random.Random(0)


def _answer(prompt):
    with _LOCK:
        CALLS.append(prompt)
        turns = Pace.rng.randrange(6)
    for _ in range(turns):
        os.sched_yield()
    if "!" in prompt:
        raise Trouble(f"no answer to {prompt}")
    return f"<{prompt[-12:]}{len(prompt)}>"


@effects(external="model")
def ask(prompt):
    return _answer(str(prompt))


@effects(external="read")
def find(*words, **more):
    return [_answer(" ".join(map(str, (*words, *more.values()))))]


@effects(external="model")
async def aask(prompt):
    await asyncio.sleep(Pace.rng.random() / 100)
    return _answer(str(prompt))


def tell(text):
    SEEN.append(text)


def shout(text):
    return str(text).upper()


def fill(into, part):
    into.append(part)
    return into


def grade(text, hint="h"):
    if "z" in text:
        return "skip"
    return ask(f"{hint} {text}")


class Writer:
    """Writes one body, line by line; every name it uses is bound before."""

    def __init__(self, seed, *, is_async=False):
        self.rng = random.Random(seed)
        self.is_async = is_async
        self.lines = []
        self.texts = ["q"]
        self.lists = ["words", "out"]
        self.count = itertools.count()
        self.depth = 0

    def pick(self, *options):
        return self.rng.choice(options)

    def put(self, indent, line):
        self.lines.append("    " * indent + line)

    def name(self, prefix):
        return f"{prefix}{next(self.count)}"

    # -- expressions -------------------------------------------------------------------------------

    def text(self):
        base = self.rng.choice(self.texts)
        return self.pick(
            base,
            base,
            f'f"{{{base}}} {self.pick("x", "y", "z", "!")}"',
            f'f"{self.pick("a", "b")} {{{base}}} {{{self.rng.choice(self.texts)}}}"',
            f"{base}.upper()",
            f"shout({base})",
            f"{base} + str(n)",
            f'"{self.pick("s", "t", "z", "!", "u")}"',
            f'" ".join({self.rng.choice(self.lists)})',
            f"str(len({self.rng.choice(self.lists)}))",
        )

    def call(self):
        if self.is_async and self.rng.random() < 0.8:
            return f"await aask({self.text()})"
        return self.pick(
            f"ask({self.text()})",
            f"ask({self.text()})",
            f"find({self.text()}, {self.text()})[0]",
            f"find({self.text()}, k={self.text()})[0]",
            f"grade({self.text()})",
            f"grade({self.text()}, hint={self.text()})",
        )

    def value(self):
        one = self.rng.random()
        if one < 0.5:
            return self.call()
        if one < 0.6:
            return f"({self.call()} if {self.test()} else {self.text()})"
        if one < 0.66:
            return f"({self.call()} if {self.test()} else {self.call()})"
        if one < 0.72:
            return f"({self.text()} + {self.call()} + {self.call()})"
        if one < 0.78 and self.texts:
            return f"str([{self.call_of('w')} for w in {self.rng.choice(self.lists)}])"
        if one < 0.82:
            test = self.pick('"z" not in w', "len(w) < 9", "w != q")
            return f"str([{self.call_of('w')} for w in {self.rng.choice(self.lists)} if {test}])"
        return self.text()

    def call_of(self, name):
        if self.is_async:
            return f"await aask({name} + q)"
        return self.pick(f"ask({name})", f"ask(q + {name})", f"grade({name})", f"find({name})[0]")

    def test(self):
        return self.pick(
            f'"{self.pick("a", "z", "<", "1")}" in {self.rng.choice(self.texts)}',
            f"len({self.rng.choice(self.lists)}) > {self.rng.randrange(4)}",
            f"n > {self.rng.randrange(3)}",
            f'"a" in ({self.call()})',
        )

    # -- statements --------------------------------------------------------------------------------

    def block(self, indent, length):
        texts, lists = list(self.texts), list(self.lists)
        for _ in range(length):
            self.statement(indent)
        if self.depth:
            self.texts, self.lists = texts, lists

    def statement(self, indent):
        simple = [self.assign, self.assign, self.append, self.show, self.change, self.raise_n]
        nested = [self.branch, self.loop, self.loop, self.guard, self.inner]
        choice = self.rng.choice(simple if self.depth > 2 or self.rng.random() < 0.62 else nested)
        choice(indent)

    def assign(self, indent):
        name = self.name("t") if self.rng.random() < 0.7 else self.rng.choice(self.texts)
        self.put(indent, f"{name} = {self.value()}")
        if name not in self.texts:
            self.texts.append(name)

    def append(self, indent):
        target = self.rng.choice(self.lists)
        if target == "words":
            target = "out"  # a loop over what it makes longer would not end
        self.put(
            indent,
            self.pick(
                f"{target}.append({self.value()})",
                f"{target}.append({self.value()})",
                f"{target} += [{self.value()}]",
                f"{target}.extend(find({self.text()}))",
                f"fill({target}, {self.value()})",
            ),
        )

    def show(self, indent):
        self.put(indent, self.pick(f"tell({self.text()})", f"print({self.value()})"))

    def raise_n(self, indent):
        self.put(indent, self.pick("n += 1", "n += 1", "q += str(n)", "n = len(out)", "pass"))

    def change(self, indent):
        made = self.name("l")
        other = self.rng.choice([one for one in self.lists if one != "words"] or ["out"])
        self.put(
            indent,
            self.pick(
                f"{made} = [{self.text()}, {self.text()}]",
                f"{made} = list({self.rng.choice(self.lists)})",
                f"{made} = {other}",
                f"{made} = find({self.text()})",
            ),
        )
        self.lists.append(made)
        if self.rng.random() < 0.5:
            self.put(indent, f"{made}.append({self.text()})")

    def branch(self, indent):
        self.put(indent, f"if {self.test()}:")
        self.deeper(indent, 2)
        if self.rng.random() < 0.5:
            self.put(indent, "else:")
            self.deeper(indent, 2)

    def deeper(self, indent, length):
        self.depth += 1
        self.block(indent + 1, self.rng.randint(1, length))
        self.depth -= 1

    def loop(self, indent):
        name = self.name("w")
        source = self.rng.choice(self.lists)
        form = self.rng.random()
        if form < 0.6:
            whole = "words" if self.rng.random() < 0.7 else f"{source}[:3]"
            self.put(indent, f"for {name} in {whole}:")
        elif form < 0.75:
            self.put(indent, f"for n, {name} in enumerate({source}[:4]):")
        elif form < 0.9:
            self.put(indent, f"for {name}, _ in zip({source}[:3], range(5)):")
        else:
            self.put(indent, f"for {name} in map(str, {source}[:3]):")
        texts, lists = list(self.texts), list(self.lists)
        self.texts += [name, name]
        self.lists = [one for one in self.lists if one != source] or ["out"]
        self.depth += 1
        if self.rng.random() < 0.25:
            jump = self.pick("continue", "continue", "break", "return out")
            self.put(indent + 1, f"if {self.test()}: {jump}")
        self.block(indent + 1, self.rng.randint(1, 4))
        if self.rng.random() < 0.12:
            self.put(
                indent + 1, f"if {self.test()}: {self.pick('break', 'continue', 'return out')}"
            )
        self.depth -= 1
        self.texts, self.lists = texts, lists
        self.put(indent, "if len(out) > 40: return out")

    def guard(self, indent):
        self.put(indent, "try:")
        self.deeper(indent, 3)
        self.put(indent, self.pick("except Trouble as e:", "except Exception as e:"))
        self.put(indent + 1, self.pick("tell(str(e))", "out.append(str(e))", "pass", "raise"))
        if self.rng.random() < 0.3:
            self.put(indent, "finally:")
            self.put(indent + 1, "tell('finally')")

    def inner(self, indent):
        name = self.name("f")
        self.put(indent, f"def {name}(part): return part + {self.rng.choice(self.texts)}")
        target = self.name("t")
        self.put(indent, f"{target} = ask({name}({self.text()}))")
        self.texts.append(target)

    def body(self):
        start = "async def" if self.is_async else "def"
        self.put(0, f"{start} generated(words: list[str], q: str) -> tuple:")
        self.put(1, "out = []")
        self.put(1, "n = 1")
        self.block(1, self.rng.randint(2, 6))
        self.put(1, "tell('end')")
        self.put(1, f"return out, n, {', '.join(self.texts[:3])}")
        return "\n".join(self.lines) + "\n"


def function_of(source):
    """Return the function that a source defines, which can be found as if it stood in a file."""
    filename = f"<generated body {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = dict(globals())
    exec(compile(source, filename, "exec"), namespace)
    return namespace["generated"]


def outcome(function, words, q, seed):
    """Return what a run of a function shows: result, effects, exception and its line, calls."""
    SEEN.clear()
    CALLS.clear()
    Pace.rng = random.Random(seed)
    given = list(words)
    try:
        found = function(given, q)
        if asyncio.iscoroutine(found):
            found = asyncio.run(found)
        ended = ("gives", found, given)
    except Exception as error:
        name = function.__code__.co_filename
        lines = []
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == name:
                lines.append(trace.tb_lineno)
            trace = trace.tb_next
        ended = ("raises", type(error), str(error), lines[:1], given)
    return ended, list(SEEN), Counter(CALLS)
