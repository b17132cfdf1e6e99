"""The machine that figures are of."""

import platform

import torch

from guided_face_edit.tools.machine import describe_machine


def test_the_machine_is_described_without_its_name():
    described = describe_machine()
    assert described["torch"] == torch.__version__ and described["cpu"]
    assert platform.node() not in described.values()
