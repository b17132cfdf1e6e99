"""Files that would run a program if they were read as they ask to be."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..pickled import (
    MAGIC,
    call,
    legacy_file,
    many,
    module,
    named,
    new,
    program,
    storage,
    table,
    tensor,
    text,
    zip_file,
)
from .attack import Attack

Bodies = Mapping[str, tuple[bytes, str]]  # what a pickle holds, and the reason to refuse it


def programs(marker: Path) -> Iterator[Attack]:
    """Most would make the marker."""
    touch = text(f"touch '{marker}'")
    system = call("posix.system", touch)
    for bodies in (
        _calls(marker, touch, system),
        _instructions(touch),
        _persistent(touch, system),
        _nested(touch, system),
        _changes(),
    ):
        for name, (body, reason) in bodies.items():
            content = zip_file(program(body))
            yield Attack(name, content, "UnsafeCheckpoint", reason, program(body))
    yield from _other_containers(marker, program(system))


def _calls(marker: Path, touch: bytes, system: bytes) -> Bodies:
    python = text(f"open({str(marker)!r}, 'w')")
    return {
        "reduce-os-system": (system, "would fetch posix.system"),
        "os-under-its-own-name": (call("os.system", touch), "would fetch os.system"),
        "windows-system": (call("nt.system", touch), "would fetch nt.system"),
        "subprocess": (call("subprocess.getoutput", touch), "would fetch subprocess.getoutput"),
        "eval": (call("__builtin__.eval", python), r"would fetch builtins\.eval"),
        "exec": (call("builtins.exec", python), r"would fetch builtins\.exec"),
        "open": (call("io.open", text(str(marker)), text("w")), r"would fetch io\.open"),
        "getattr": (
            call("builtins.getattr", call("builtins.__import__", text("os")), text("system")),
            r"would fetch builtins\.getattr",
        ),
        "importlib": (
            call("importlib.import_module", text("antigravity")),
            r"would fetch importlib\.import_module",
        ),
        "import-by-name-alone": (named("antigravity.fly"), r"would fetch antigravity\.fly"),
        "runpy": (call("runpy._run_code", python, b"}"), r"would fetch runpy\._run_code"),
        "ctypes": (call("ctypes.CDLL", text("libc.so.6")), r"would fetch ctypes\.CDLL"),
        "pickle-in-a-pickle": (
            call("_pickle.loads", _bytes(program(system))),
            r"would fetch _pickle\.loads",
        ),
        "methodcaller": (
            call("operator.methodcaller", text("system"), touch),
            r"would fetch operator\.methodcaller",
        ),
        "torch-load": (
            call("torch.storage._load_from_bytes", _bytes(program(system))),
            r"would run torch\.storage\._load_from_bytes",
        ),
        "torch-hub": (call("torch.hub.load", text("evil/model")), r"would run torch\.hub\.load"),
        "numpy-runstring": (
            call("numpy.testing._private.utils.runstring", python, b"}"),
            r"would run numpy\.testing\._private\.utils\.runstring",
        ),
        "a-package-of-theirs": (call("models.setup", touch), r"would run models\.setup"),
        "call-of-what-was-made": (
            call("functools.partial", named("models.setup"), touch) + b")R",
            r"would run an object of functools\.partial",
        ),
        "call-of-a-text": (text("os.system") + many(touch) + b"R", "would run a str"),
        "call-of-a-tensor": (tensor() + many(touch) + b"R", "would run a PickledTensor"),
        "call-of-a-storage": (storage() + many(touch) + b"R", "would run a PickledStorage"),
    }


def _instructions(touch: bytes) -> Bodies:
    return {
        "stack-global": (
            text("posix") + text("system") + b"\x93" + many(touch) + b"R",
            r"would fetch posix\.system",
        ),
        "stack-global-no-text": (text("posix") + b"K\x01\x93", "would fetch what is named by no"),
        "dotted-global": (
            text("torch") + text("os.system") + b"\x93" + many(touch) + b"R",
            r"would run torch\.os\.system",
        ),
        "inst": (b"(" + touch + b"iposix\nsystem\n", r"uses the instruction INST \(posix system\)"),
        "obj": (b"(" + named("models.Setup") + touch + b"o", "uses the instruction OBJ"),
        "extension-1": (b"\x82\x01)R", "uses the instruction EXT1"),
        "extension-2": (b"\x83\x01\x00)R", "uses the instruction EXT2"),
        "extension-4": (b"\x84\x01\x00\x00\x00)R", "uses the instruction EXT4"),
        "extension-registered": (
            call("copyreg.add_extension", text("posix"), text("system"), b"K\x01"),
            r"would fetch copyreg\.add_extension",
        ),
        "out-of-band-buffer": (b"\x97", "uses the instruction NEXT_BUFFER"),
        "reconstructor": (
            call("copy_reg._reconstructor", named("subprocess.Popen"), named("builtins.object")),
            r"would fetch subprocess\.Popen",
        ),
        "new-process": (new("subprocess.Popen", touch), r"would fetch subprocess\.Popen"),
        "new-with-keywords": (
            b"}" + many(touch) + table({"shell": b"\x88"}) + b"\x92",
            "would make an object out of a dict",
        ),
        "new-of-an-object": (b"}" + many(touch) + b"\x81", "would make an object out of a dict"),
    }


def _persistent(touch: bytes, system: bytes) -> Bodies:
    return {
        "persistent-text": (b"Ptouch marker\n", "uses the instruction PERSID"),
        "persistent-program": (many(text("storage"), system) + b"Q", r"would fetch posix\.system"),
        "persistent-other": (many(text("file"), touch) + b"Q", "uses a persistent id that is no"),
        "storage-of-a-function": (storage(kind="models.setup"), "uses a persistent id that is no"),
    }


def _nested(touch: bytes, system: bytes) -> Bodies:
    honest = {"weight": tensor()}
    return {
        "in-a-state-dict": (table({**honest, "bias": system}), r"would fetch posix\.system"),
        "in-a-list": (b"](" + table(honest) + system + b"e", r"would fetch posix\.system"),
        "in-a-tensors-state": (tensor() + many(b"\x88", b"}", system) + b"b", "posix.system"),
        "in-a-tensors-hooks": (
            call(
                "torch._utils._rebuild_tensor_v2",
                *(storage(), b"K\x00", many(b"K\x02"), many(b"K\x01"), b"\x89"),
                call("collections.OrderedDict", b"](](" + text("hook") + system + b"ee"),
            ),
            r"would fetch posix\.system",
        ),
        "in-a-tensors-class": (
            call(
                "torch._tensor._rebuild_from_type_v2",
                *(named("torch.hub.load"), named("torch.Tensor"), many(touch), b"N"),
            ),
            r"would run torch\.hub\.load",
        ),
        "in-a-parameter": (module({"weight": system}, {}), r"would fetch posix\.system"),
        "in-a-submodule": (
            module({}, {"a": module({"weight": call("models.setup", touch)}, {})}),
            r"would run models\.setup",
        ),
        "in-a-reduced-object": (
            call("copyreg.__newobj__", named("models.Net")) + table({"hook": system}) + b"b",
            r"would fetch posix\.system",
        ),
    }


def _changes() -> Bodies:
    return {
        "state-of-a-class": (
            named("torch.nn.modules.module.Module") + table({"forward": b"N"}) + b"b",
            r"would change torch\.nn\.modules\.module\.Module",
        ),
        "entry-of-a-registry": (
            named("torch.serialization._package_registry") + b"K\x01Ns",
            r"would change torch\.serialization\._package_registry",
        ),
        "member-of-a-registry": (
            named("torch.serialization._package_registry") + b"Na",
            r"would change torch\.serialization\._package_registry",
        ),
        "dunder-of-a-tensor": (
            tensor() + table({"__class__": named("models.Other")}) + b"b",
            "would set __class__ of a PickledTensor",
        ),
        **{
            f"dunder{name.strip('_')}": (
                new("models.Net") + table({name: named("models.Other")}) + b"b",
                f"would set {name} of an object of models.Net",
            )
            for name in ("__class__", "__dict__", "__setstate__", "__reduce_ex__")
        },
    }


def _other_containers(marker: Path, evil: bytes) -> Iterator[Attack]:
    fetch = r"would fetch posix\.system"
    plain = b"cposix\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    yield Attack("legacy-file", legacy_file(evil), "UnsafeCheckpoint", fetch, evil)
    yield Attack("bare-pickle", evil, "UnsafeCheckpoint", fetch, evil)
    yield Attack("bare-pickle-of-protocol-0", plain, "UnsafeCheckpoint", fetch, plain)
    yield Attack("legacy-preamble", MAGIC + evil, "UnsafeCheckpoint", fetch)
    yield Attack("legacy-system", legacy_file(evil, system=evil), "UnsafeCheckpoint", fetch)
    keys = legacy_file(program(tensor()), keys=evil)
    yield Attack("legacy-keys", keys, "UnsafeCheckpoint", fetch)


def _bytes(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value
