"""A small engine that is validated after every step."""

import itertools

import pytest

from langgraph_rsm.emulation import (
    CostModel,
    EngineModel,
    EngineProfile,
    EngineRequest,
    SegmentBlocks,
)

BLOCK = 4
COST = CostModel(
    base_s=1.0,
    per_prefill_token_s=0.1,
    per_decode_s=0.01,
    per_kv_token_s=0.001,
    per_attention_pair_s=0.0001,
)


class Stepper:
    def __init__(self, **overrides):
        settings = {
            "name": "test",
            "cost": COST,
            "max_num_seqs": 4,
            "max_num_batched_tokens": 64,
            "kv_tokens": 400,
            "block_size": BLOCK,
            "max_model_len": 400,
        }
        self.model = EngineModel(EngineProfile(**(settings | overrides)))
        self.iterations = []
        self.finished = {}
        self.emitted = {}
        self._clock = itertools.count()

    def submit(self, name, prompt=8, out=4, *, content=None, **fields):
        blocks = content and SegmentBlocks(content, block_size=BLOCK)
        request = EngineRequest(
            request_id=name, prompt_tokens=prompt, max_tokens=out, blocks=blocks, **fields
        )
        self.model.submit(request, float(next(self._clock)))

    def abort(self, name):
        record = self.model.abort(name)
        self.model.validate()
        if record:
            self._note(record)
        return record

    def begin(self):
        iteration = self.model.begin_iteration()
        self.model.validate()
        self.iterations.append(iteration)
        return iteration

    def end(self):
        outcome = self.model.end_iteration()
        self.model.validate()
        for name in outcome.emitted:
            self.emitted[name] = self.emitted.get(name, 0) + 1
        for record in outcome.finished:
            self._note(record)
        return outcome

    def step(self):
        return self.begin(), self.end()

    def run(self):
        while self.model.has_work:
            self.step()
        return list(self.finished)

    def _note(self, record):
        assert record.request_id not in self.finished
        self.finished[record.request_id] = record


@pytest.fixture
def engine():
    return Stepper
