"""Whatever arrives, leaves or runs, the engine model keeps its invariants and loses nothing."""

from case_counts import cases
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from langgraph_rsm.emulation import (
    CostModel,
    EngineModel,
    EngineProfile,
    EngineRequest,
    FinishReason,
    SchedulingPolicy,
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


class EngineMachine(RuleBasedStateMachine):
    @initialize(
        seats=st.integers(1, 5),
        budget=st.integers(5, 40),
        blocks=st.integers(8, 24),
        policy=st.sampled_from(SchedulingPolicy),
        prefix_caching=st.booleans(),
    )
    def start(self, seats, budget, blocks, policy, prefix_caching):
        self.model = EngineModel(
            EngineProfile(
                name="test",
                cost=COST,
                max_num_seqs=seats,
                max_num_batched_tokens=budget,
                kv_tokens=blocks * BLOCK,
                block_size=BLOCK,
                max_model_len=32,
                scheduling_policy=policy,
                prefix_caching=prefix_caching,
            )
        )
        self.now_s = 0.0
        self.requests = {}
        self.emitted = {}
        self.ended = {}
        self.in_iteration = False

    @rule(
        prompt=st.integers(1, 20),
        out=st.integers(1, 12),
        natural=st.none() | st.integers(1, 15),
        priority=st.integers(-2, 2),
        family=st.sampled_from(["a", "b", None]),
        shared=st.integers(1, 20),
    )
    def submit(self, prompt, out, natural, priority, family, shared):
        name = str(len(self.requests))
        fcfs = self.model.profile.scheduling_policy is SchedulingPolicy.FCFS
        segments = [("system", shared), (family, 64)]
        request = EngineRequest(
            request_id=name,
            prompt_tokens=prompt,
            max_tokens=out,
            natural_tokens=natural,
            priority=0 if fcfs else priority,
            blocks=SegmentBlocks(segments, block_size=BLOCK) if family else None,
        )
        self.model.submit(request, self.now_s)
        self.requests[name] = request
        self.emitted[name] = 0

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def abort(self, data):
        name = data.draw(st.sampled_from(sorted(self.requests)))
        record = self.model.abort(name)
        assert (record is None) == (name in self.ended)
        if record:
            self._end(record)
            assert record.reason is FinishReason.ABORT

    @precondition(lambda self: not self.in_iteration)
    @rule()
    def begin(self):
        before = self.model.stats()
        iteration = self.model.begin_iteration()
        assert (iteration is None) == (not self.model.has_work)
        if iteration is None:
            return
        self.in_iteration = True
        self.now_s += iteration.duration_s
        scheduled = iteration.prefill_tokens + iteration.decode_sequences
        assert 1 <= scheduled <= self.model.profile.max_num_batched_tokens
        assert not (iteration.preempted and iteration.admitted)
        assert (
            before.running + len(iteration.admitted) - len(iteration.preempted)
            == self.model.stats().running
        )

    @precondition(lambda self: self.in_iteration)
    @rule()
    def end(self):
        self.in_iteration = False
        outcome = self.model.end_iteration()
        assert len(set(outcome.emitted)) == len(outcome.emitted)
        for name in outcome.emitted:
            self.emitted[name] += 1
        for record in outcome.finished:
            self._end(record)
            assert self.emitted[record.request_id] == self._request(record).output_tokens
            assert record.reason is self._request(record).finish_reason

    def _request(self, record):
        return self.requests[record.request_id]

    def _end(self, record):
        assert record.request_id not in self.ended
        assert record.generated_tokens == self.emitted[record.request_id]
        assert record.cached_tokens < self._request(record).prompt_tokens
        self.ended[record.request_id] = record

    @invariant()
    def invariants_hold(self):
        self.model.validate()

    def teardown(self):
        if self.in_iteration:
            self.end()
        steps = 0
        while self.model.has_work:
            self.begin()
            self.model.validate()
            self.end()
            self.model.validate()
            steps += 1
            assert steps < 100 * (1 + len(self.requests)), "the engine makes no progress"
        assert self.ended.keys() == self.requests.keys()
        counters = self.model.stats().counters
        assert counters.generation_tokens == sum(self.emitted.values())
        assert self.model.stats().kv_usage_ratio == 0


EngineMachine.TestCase.settings = settings(
    max_examples=cases(150), stateful_step_count=40, deadline=None, derandomize=True
)
TestEngineModel = EngineMachine.TestCase
