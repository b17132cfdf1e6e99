"""The stand-in host is strict where the real one is, and no more lenient."""

import json
import os
import subprocess
import sys
from dataclasses import fields

import pytest
import torch

from guided_face_edit.tests.support.standin import io as standin_io
from guided_face_edit.tests.support.standin.graph import GraphError, run_graph
from guided_face_edit.tests.support.standin.modules import NAMES


class Doubles(standin_io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return standin_io.Schema(
            "Doubles",
            inputs=[standin_io.Int.Input("x", min=0, max=9)],
            outputs=[standin_io.Int.Output(display_name="y")],
        )

    @classmethod
    def execute(cls, x):
        return standin_io.NodeOutput(2 * x)


class Lists(standin_io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return standin_io.Schema("Lists", outputs=[standin_io.Int.Output(is_output_list=True)])

    @classmethod
    def execute(cls):
        return standin_io.NodeOutput([1, 2, 3])


NODES = {"Doubles": Doubles, "Lists": Lists}


def _graph(**inputs):
    return {
        "1": {"class_type": "Lists", "inputs": {}},
        "2": {"class_type": "Doubles", "inputs": {"x": ["1", 0], **inputs}},
    }


def test_a_list_runs_what_follows_once_for_each():
    assert run_graph(_graph(), NODES)["2"] == [[2, 4, 6]]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_graph(x=10), "Doubles.x is 10, expected 0 to 9"),
        (_graph(z=1), "Doubles has no input z"),
        ({"1": {"class_type": "Doubles", "inputs": {}}}, "Doubles misses x"),
        ({"1": {"class_type": "Nothing", "inputs": {}}}, "there is no node Nothing"),
        ({"1": {"class_type": "Doubles", "inputs": {"x": ["1", 0]}}}, "node 1 needs itself"),
    ],
)
def test_a_wrong_graph_is_refused(graph, message):
    with pytest.raises(GraphError, match=message):
        run_graph(graph, NODES)


def _misbehaving(execute):
    return type("Bad", (Lists,), {"execute": classmethod(execute)})


@pytest.mark.parametrize(
    ("execute", "error", "message"),
    [
        (lambda cls: {"result": ()}, TypeError, "not a NodeOutput"),
        (lambda cls: setattr(cls, "x", 1), AttributeError, "nodes hold no state"),
        (lambda cls: torch.ones(1, requires_grad=True) * 2, TypeError, "Tensor"),
    ],
)
def test_what_the_host_refuses_of_a_node_is_refused(execute, error, message):
    with pytest.raises(error, match=message):
        _misbehaving(execute).run({})


def test_nodes_run_in_inference_mode():
    seen = []

    def execute(cls):
        seen.append(torch.is_inference_mode_enabled())
        return standin_io.NodeOutput([])

    run_graph({"1": {"class_type": "Bad", "inputs": {}}}, {"Bad": _misbehaving(execute)})
    assert seen == [True]


def test_an_id_is_given_once():
    class Twice(Lists):
        @classmethod
        def define_schema(cls):
            x = standin_io.Int
            return standin_io.Schema("Twice", inputs=[x.Input("x")], outputs=[x.Output("x")])

    with pytest.raises(ValueError, match="x"):
        Twice.GET_SCHEMA()


REPORT = """
import importlib, inspect, json, sys
sys.path.insert(0, sys.argv[1])
from comfy.cli_args import args
args.cpu = True
from comfy_api.latest import io

def options(kind):
    each = (inspect.signature(base.__init__).parameters for base in kind.__mro__)
    return sorted({name for parameters in each for name in parameters})

report = {"Schema": sorted(inspect.signature(io.Schema).parameters)}
for name in sys.argv[2].split():
    kind = getattr(io, name)
    report |= {f"{name}.{part}": options(getattr(kind, part)) for part in ("Input", "Output")}
modules = [importlib.import_module(module) for module in sys.argv[3].split()]
report |= {module.__name__: dir(module) for module in modules}
print(json.dumps(report))
"""
SOCKETS = ("Image", "Mask", "Int", "Float", "String", "Boolean", "Combo")


@pytest.fixture(scope="module")
def real():
    """What the modules of a real ComfyUI know, by name."""
    folder = os.environ.get("COMFYUI_PATH")
    if not folder:
        pytest.skip("COMFYUI_PATH names no ComfyUI to compare with")
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = [python, "-c", REPORT, folder, " ".join(SOCKETS), " ".join(NAMES)]
    shown = subprocess.run(script, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(shown.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", SOCKETS)
@pytest.mark.parametrize("part", ["Input", "Output"])
def test_the_real_sockets_take_what_ours_take(real, name, part):
    kind = getattr(getattr(standin_io, name), part)
    ours = {field.name for field in fields(kind)} - {"io_type"}
    assert ours <= set(real[f"{name}.{part}"])


def test_the_real_schema_takes_what_ours_takes(real):
    assert {field.name for field in fields(standin_io.Schema)} <= set(real["Schema"])


@pytest.mark.parametrize("module", NAMES)
def test_the_real_modules_have_what_ours_have(real, module):
    ours = {name for name in vars(sys.modules[module]) if not name.startswith("_")}
    assert ours - TEST_ONLY <= set(real[module])


TEST_ONLY = {"interrupted", "root"}  # by which tests steer the stand-in
