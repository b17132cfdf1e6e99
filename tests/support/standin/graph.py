"""Runs a graph in ComfyUI's API format, node by node, as the host would."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch

from .core import CORE
from .io import ComfyNode, Schema

Graph = Mapping[str, Mapping[str, Any]]
Classes = Mapping[str, type[ComfyNode]]


class GraphError(ValueError):
    """A graph that the host would refuse."""


def run_graph(graph: Graph, nodes: Classes) -> dict[str, list[Any]]:
    """Every node's outputs by its number in the graph; under inference mode, as in the host."""
    classes = {**CORE, **nodes}
    done: dict[str, list[Any]] = {}
    with torch.inference_mode():
        for number in _in_order(graph):
            node = graph[number]
            if node["class_type"] not in classes:
                raise GraphError(f"there is no node {node['class_type']}")
            done[number] = _execute(classes[node["class_type"]], node["inputs"], done)
    return done


def _in_order(graph: Graph) -> list[str]:
    """Numbers of the nodes, each after those that it needs."""
    order: list[str] = []

    def visit(number: str, path: tuple[str, ...]) -> None:
        if number in path:
            raise GraphError(f"node {number} needs itself")
        for value in graph[number]["inputs"].values():
            if is_link(value):
                visit(value[0], (*path, number))
        if number not in order:
            order.append(number)

    for number in graph:
        visit(number, ())
    return order


def is_link(value: Any) -> bool:
    """Whether a value of the API format is another node's output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int)


def _execute(
    node: type[ComfyNode], wired: Mapping[str, Any], done: Mapping[str, list[Any]]
) -> list[Any]:
    """The outputs, each as a list of one or, after a list output, of several values."""
    schema = node.GET_SCHEMA()
    given = {name: _values(value, done) for name, value in wired.items()}
    _check(schema, given)
    runs = max((len(values) for values in given.values()), default=1)
    outputs = []
    for k in range(runs):
        inputs = {name: values[min(k, len(values) - 1)] for name, values in given.items()}
        _check_files(node, wired, inputs)
        outputs.append(node.run(inputs).args)
    return [_gathered(schema, slot, outputs) for slot in range(len(schema.outputs))]


def _values(value: Any, done: Mapping[str, list[Any]]) -> list[Any]:
    return done[value[0]][value[1]] if is_link(value) else [value]


def _gathered(schema: Schema, slot: int, outputs: list[tuple[Any, ...]]) -> list[Any]:
    values = [each[slot] for each in outputs]
    if schema.outputs[slot].is_output_list:
        return [value for row in values for value in row]
    return values


def _check(schema: Schema, given: Mapping[str, list[Any]]) -> None:
    known = {each.id: each for each in schema.inputs}
    for name in given.keys() - known.keys():
        raise GraphError(f"{schema.node_id} has no input {name}")
    for name, each in known.items():
        if name not in given and not each.optional:
            raise GraphError(f"{schema.node_id} misses {name}")
        for value in given.get(name, []):
            _check_range(schema, each, value)


def _check_range(schema: Schema, each: Any, value: Any) -> None:
    low, high = getattr(each, "min", None), getattr(each, "max", None)
    if isinstance(value, (int, float)) and low is not None and not low <= value <= high:
        raise GraphError(f"{schema.node_id}.{each.id} is {value}, expected {low} to {high}")


def _check_files(
    node: type[ComfyNode], wired: Mapping[str, Any], inputs: Mapping[str, Any]
) -> None:
    """The node's own validation, which sees constants only, and of those what it names."""
    names = signature(node.validate_inputs).parameters
    constants = {name: value for name, value in inputs.items() if not is_link(wired[name])}
    answer = node.validate_inputs(**{k: v for k, v in constants.items() if k in names})
    if answer is not True:
        raise GraphError(str(answer))
