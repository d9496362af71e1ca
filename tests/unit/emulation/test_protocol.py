import json

import pytest

from langgraph_rsm.emulation import RequestRejectedError
from langgraph_rsm.emulation.protocol import parse_chat_request

USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "so"}


def parse(**fields):
    return parse_chat_request(json.dumps({"messages": [USER], **fields}).encode())


@pytest.mark.parametrize(
    ("fields", "param", "reason"),
    [
        ({"n": 2}, "n", "not supported"),
        ({"logprobs": True}, "logprobs", "not supported"),
        ({"top_logprobs": 3}, "top_logprobs", "not supported"),
        ({"best_of": 3}, "best_of", "not supported"),
        ({"max_tokens": "many"}, "max_tokens", "valid integer"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": [{"role": "alien", "content": ""}]}, "messages[0].role", "system"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            "'text'",
        ),
        ({"tool_choice": "required"}, None, "needs tools"),
        ({"tool_choice": {"function": {"name": "x"}}}, None, "not among tools"),
        ({"tool_choice": "perhaps"}, "tool_choice", "'required'"),
        ({"emulate_tool_rounds": 17}, "emulate_tool_rounds", "16"),
        ({"messages": [USER, ASSISTANT], "continue_final_message": True}, None, "Cannot set both"),
        (
            {"continue_final_message": True, "add_generation_prompt": False},
            None,
            "assistant message at the end",
        ),
    ],
)
def test_wrong_field_is_named(fields, param, reason):
    with pytest.raises(RequestRejectedError, match=reason) as caught:
        parse(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
def test_malformed_body_is_refused(body):
    with pytest.raises(RequestRejectedError):
        parse_chat_request(body)


def test_fields_without_effect_are_accepted():
    parse(temperature=0.5, top_p=1, seed=1, user="me", store=False, parallel_tool_calls=True)
    parse(n=1, logprobs=False, metadata={}, stop=None, stream_options={"include_usage": True})


def test_max_completion_tokens_is_the_token_bound():
    assert parse(max_completion_tokens=7).token_bound == 7
    assert parse(max_tokens=8).token_bound == 8
    assert parse().token_bound is None


def test_text_parts_are_joined():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert parse(messages=[{"role": "user", "content": parts}]).messages[0].text == "a b"
