"""LangChain's own suites for chat models, with the same verdicts as for the bare model.

Where the embedded engine cannot do what a test asks of a real model, the bare model fails, and both
scheduled forms must fail as well: the expected failures, strict ones, are one list for all three.
"""

import pytest
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from openai import DefaultAsyncHttpxClient

from langgraph_rsm import ScheduledChatModel, ScheduledChatOpenAI
from langgraph_rsm.emulation import serve

pytestmark = pytest.mark.filterwarnings("ignore")


class WrappedChatOpenAI(ScheduledChatModel):
    """Built from the arguments of the model it wraps, as the suites build their subjects."""

    def __init__(self, **kwargs):
        if "inner" not in kwargs and "engines" not in kwargs:
            kwargs = {"inner": ChatOpenAI(**kwargs)}
        super().__init__(**kwargs)


@pytest.fixture(scope="module")
def server():
    with serve("gpu-8b", speed=500) as server:
        yield server


class UnitSuite(ChatModelUnitTests):
    @property
    def chat_model_params(self):
        return {"model": "llama", "api_key": "none", "base_url": "http://127.0.0.1:9/v1"}


class TestBareUnit(UnitSuite):
    chat_model_class = ChatOpenAI


class TestSubclassUnit(UnitSuite):
    chat_model_class = ScheduledChatOpenAI


class TestWrapperUnit(UnitSuite):
    chat_model_class = WrappedChatOpenAI


class IntegrationSuite(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _serve(self, server):
        type(self).address = {"base_url": server.base_url, "model": server.model}

    @property
    def chat_model_params(self):
        # langchain-openai's default clients are shared by the loops of all tests.
        return {
            **self.address,
            "api_key": "none",
            "stream_usage": True,
            "http_async_client": DefaultAsyncHttpxClient(),
        }

    @property
    def supports_image_inputs(self):
        return False

    @property
    def has_tool_choice(self):
        return True


class TestBareIntegration(IntegrationSuite):
    chat_model_class = ChatOpenAI


class TestSubclassIntegration(IntegrationSuite):
    chat_model_class = ScheduledChatOpenAI


class TestWrapperIntegration(IntegrationSuite):
    chat_model_class = WrappedChatOpenAI
