"""The few names that a checkpoint's pickle may call, and what they give: descriptions, no tensors.

Each stands for the function of that name in torch or the standard library, which is not called.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from .errors import UnsafeCheckpoint, UnsupportedCheckpoint, printable
from .pickles import Global, Stub, is_key, text_keyed, texts, title

MAX_DIMENSIONS = 8
MAX_NUMBER = 1 << 63  # of what torch can count with

STORED_AS = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)  # without storages of their own
DTYPES = {str(dtype): dtype for dtype in (*STORED_AS.values(), *FLOAT8)}
STORAGES = {
    "torch.storage.UntypedStorage": torch.uint8,
    **{f"torch.{name}Storage": dtype for name, dtype in STORED_AS.items()},
    **{f"torch.cuda.{name}Storage": dtype for name, dtype in STORED_AS.items()},
}


@dataclass(frozen=True)
class PickledStorage:
    """Numbers that stand elsewhere in the file; `start` and `numel` count elements."""

    key: str
    dtype: torch.dtype
    numel: int
    start: int = 0


@dataclass(frozen=True)
class PickledTensor:
    """A tensor as a view of a storage; offset and strides count elements."""

    storage: PickledStorage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def pickled_storage(saved: Any) -> Any:
    """What a persistent id stands for: a storage, or a class that was saved with its source."""
    match saved:
        case ("storage", Global(name), key, _, numel, *view) if name in STORAGES and is_key(key):
            return _viewed(PickledStorage(key, STORAGES[name], _number(numel)), *view)
        case ("module", Global() as named, *_):
            return named
    raise UnsafeCheckpoint("uses a persistent id that is no storage")


def _viewed(storage: PickledStorage, view: Any = None) -> PickledStorage:
    """A part of another storage, as torch before 0.4 saved it."""
    if view is None:
        return storage
    _, start, numel = view
    if _number(start) + _number(numel) > storage.numel:
        raise ValueError(f"a part of storage {printable(storage.key)} ends beyond it")
    return replace(storage, start=start, numel=numel)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any) -> PickledTensor:
    if not isinstance(storage, PickledStorage):
        raise ValueError("a tensor has no storage")
    tensor = PickledTensor(storage, _number(offset), _numbers(shape), _numbers(stride))
    steps = zip(tensor.shape, tensor.stride, strict=True)
    last = tensor.offset + sum((size - 1) * step for size, step in steps)
    if 0 not in tensor.shape and last >= storage.numel:
        raise ValueError(f"a tensor ends beyond its storage {printable(storage.key)}")
    return tensor


def _tensor_v2(
    storage: Any, offset: Any, shape: Any, stride: Any, _grad: Any, _hooks: Any, lazy: Any = None
) -> PickledTensor:
    if lazy:
        raise UnsupportedCheckpoint("expected plain tensors, got one to be conjugated or negated")
    return _tensor(storage, offset, shape, stride)


def _tensor_v3(storage: Any, *view_and_dtype: Any) -> PickledTensor:
    """A tensor of a type that has no storage of its own: over bytes."""
    *view, dtype = view_and_dtype
    if not isinstance(storage, PickledStorage):
        raise ValueError("a tensor has no storage")
    if not isinstance(dtype, Global) or dtype.name not in DTYPES:
        raise UnsupportedCheckpoint(f"expected a known type of numbers, got {title(dtype)}")
    typed = DTYPES[dtype.name]
    return _tensor_v2(replace(storage, dtype=typed, numel=storage.numel // typed.itemsize), *view)


def _parameter(data: Any, *_flags: Any) -> PickledTensor:
    if not isinstance(data, PickledTensor):
        raise ValueError("a parameter has no tensor")
    return data


def _subclass(rebuilder: Any, _type: Any, arguments: Any, _attributes: Any) -> PickledTensor:
    """A tensor with attributes of its own, or of a class of its own: the tensor alone."""
    if not isinstance(rebuilder, Global) or rebuilder.name not in REBUILDERS:
        raise UnsafeCheckpoint(f"would run {title(rebuilder)}")
    if not isinstance(arguments, tuple):
        raise ValueError("a tensor is made of arguments that are no tuple")
    return REBUILDERS[rebuilder.name](*arguments)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MAX_NUMBER:
        raise ValueError("a tensor's size, stride or offset is no number that can be")
    return value


def _numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple | list) or len(values) > MAX_DIMENSIONS:
        raise ValueError(f"a tensor's shape is none of at most {MAX_DIMENSIONS} dimensions")
    return tuple(map(_number, values))


def _dictionary(entries: Any = ()) -> dict[str, Any]:
    return text_keyed(entries.items() if isinstance(entries, dict) else _listed(entries))


def _listed(values: Any = ()) -> list[Any]:
    if not isinstance(values, list | tuple | set):
        raise ValueError(f"a list is made of {title(values)}")
    return list(values)


def _object(cls: Any, *_arguments: Any) -> Stub:
    if not isinstance(cls, Global):
        raise UnsafeCheckpoint("would make an object of no class")
    return Stub(cls.name)


REBUILDERS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,  # before torch 0.4, as the next
    "torch.autograd.variable.Variable": _parameter,
}
INERT = (  # what training scripts and old modules leave beside the tensors
    "_codecs.encode",
    *(f"builtins.{name}" for name in ("bytearray", "complex", "slice", "range")),
    *("datetime.datetime", "functools.partial", "numpy.dtype"),
    *("torch.device", "torch.serialization._get_layout"),
    "torch.nn.backends.thnn._get_thnn_function_backend",  # in every module before torch 1.4
    *(f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")),
    *(f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core")),
    *(f"pathlib.{kind}Path" for kind in ("", "Posix", "Windows")),
    *(f"pathlib.Pure{kind}Path" for kind in ("", "Posix", "Windows")),
)
CALLS: dict[str, Callable[..., Any]] = {
    **REBUILDERS,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch.Size": lambda sizes=(): _numbers(sizes),
    "collections.OrderedDict": _dictionary,
    "collections.Counter": _dictionary,
    "collections.defaultdict": lambda _factory=None, entries=(): _dictionary(entries),
    "builtins.dict": _dictionary,
    "builtins.set": lambda values=(): texts(_listed(values)),
    "builtins.frozenset": lambda values=(): texts(_listed(values)),
    "builtins.list": _listed,
    "builtins.tuple": lambda values=(): tuple(_listed(values)),
    "copyreg._reconstructor": _object,
    "copyreg.__newobj__": _object,
    **{name: lambda *_arguments, name=name: Stub(name) for name in INERT},
}
