"""What nodes read of the run's settings: names that are known, and never those of the engine."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, ensure_config
from pydantic import BaseModel
from typing_extensions import TypedDict

from langgraph_parallel import infer_effects


class State(TypedDict, total=False):
    text: str
    answer: str


class Model(BaseModel):
    language: str = "en"
    most: int = 3

    @classmethod
    def from_runnable_config(cls, config: RunnableConfig | None = None) -> Model:
        configurable = config["configurable"] if config and "configurable" in config else {}
        found = {
            name: os.environ.get(name.upper(), configurable.get(name))
            for name in cls.model_fields.keys()  # noqa: SIM118 - as people write it
        }
        return cls(**{k: v for k, v in found.items() if v is not None})


@dataclass(kw_only=True)
class Record:
    language: str = "en"
    most: int = 3

    @classmethod
    def from_runnable_config(cls, config: RunnableConfig | None = None) -> Record:
        config = ensure_config(config)
        configurable = config.get("configurable") or {}
        names = {f.name for f in fields(cls) if f.init}
        return cls(**{k: v for k, v in configurable.items() if k in names})


def by_model(state: State, config: RunnableConfig) -> Any:
    settings = Model.from_runnable_config(config)
    return {"answer": f"{settings.language}{settings.most}{state['text']}"}


def by_record(state: State, config: RunnableConfig) -> Any:
    settings = Record.from_runnable_config(config)
    return {"answer": state["text"] if settings.most is None else ""}


def by_list_of_names(state: State, config: RunnableConfig) -> Any:
    names = list(Model.model_fields.keys())
    found = {name: config.get("configurable", {}).get(name) for name in names}
    return {"answer": Model(**found).language + state["text"]}


@pytest.mark.parametrize("node", [by_model, by_record, by_list_of_names])
def test_settings_read_by_the_names_of_fields_are_known(node):
    found = infer_effects(node, State)
    assert found.reads == {"text"}
    assert "step" not in found.control
    assert "unknown" not in found.external


def everything(state: State, config: RunnableConfig) -> Any:
    return {"answer": str({k: v for k, v in config["configurable"].items() if k != "a"})}


def names_of_the_state(state: State, config: RunnableConfig) -> Any:
    names = [state["text"]]
    return {"answer": str({k: v for k, v in config["configurable"].items() if k in names})}


def name_of_the_engine(state: State, config: RunnableConfig) -> Any:
    names = ["language"]
    names.append("checkpoint_ns")
    return {"answer": str({k: v for k, v in config["configurable"].items() if k in names})}


def other_test(state: State, config: RunnableConfig) -> Any:
    names, key = ["language"], "language"
    return {"answer": str({k: v for k, v in config["configurable"].items() if key in names})}


def key_of_the_state(state: State, config: RunnableConfig) -> Any:
    return {"answer": str(config["configurable"].get(state["text"]) is None)}


def step_of_the_metadata(state: State, config: RunnableConfig) -> Any:
    return {"answer": str(config["metadata"]["langgraph_step"])}


@pytest.mark.parametrize(
    "node",
    [
        *(everything, names_of_the_state, name_of_the_engine),
        *(other_test, key_of_the_state, step_of_the_metadata),
    ],
)
def test_settings_whose_name_may_be_one_of_the_engine_keep_the_node_in_its_place(node):
    found = infer_effects(node, State)
    assert "unknown" in found.external or "step" in found.control


def test_entries_of_a_dict_keep_keys_and_values_apart():
    def node(state):
        found = {"a": [state["text"]], "b": ["x"]}
        return {"answer": "".join(key.upper() for key, parts in found.items() if parts)}

    assert "unknown" not in infer_effects(node, State).external
