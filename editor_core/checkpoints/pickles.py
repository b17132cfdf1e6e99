"""Pickles read as plain data, by a machine that can build but not act.

A pickle is a program. The usual unpickler imports the modules it names, calls what it finds there
and lets classes do what they like with their state. This machine has no instruction for any of it:

- A name stays a name, a `Global`. Nothing is imported and nothing is looked up.
- An object of whatever class is a `Stub`: its class's name and its attributes in a dictionary.
- The one thing it calls are the functions of the table that its caller gives, by exact name. They
  make descriptions of tensors and plain collections out of such data.
- Dictionaries keep their text keys alone and sets their texts, so that no value of a file is ever
  hashed or compared: neither deep tuples nor colliding numbers can do harm.

All it can hold is therefore numbers, text, bytes, lists, tuples, such dictionaries and sets, and
descriptions. A file that asks for more is refused: any other call; any name of the standard library
that no checkpoint needs, called or not; objects that are made by calling (INST, OBJ) or
by the extension registry (EXT); attributes with dunder names; changes of what a name stands for.

`pickletools` decodes the instructions, and runs none. How many there may be is limited, and so is
what they may copy, so that time and memory are too, whatever sizes a file claims.
"""

import pickletools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from .errors import UnsafeCheckpoint, shown

MAX_INSTRUCTIONS = 250_000  # some 45 describe a tensor, and a second is enough for all
MAX_NAMES = 10_000  # an honest pickle names each class once
MAX_COPIES = 500_000  # of members of collections
MAX_MEMO = 1 << 32
MAX_LENGTH = 500  # characters of a name

COLLECTIONS = (list, tuple, dict, set)
RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # modules, since Python 2
HARMLESS = {  # names of the standard library that stand in checkpoints without being called
    "argparse.Namespace",
    "types.SimpleNamespace",
    "typing.Any",
    *(f"builtins.{name}" for name in ("object", "bool", "int", "float", "complex", "str", "bytes")),
    *(f"builtins.{name}" for name in ("list", "tuple", "dict")),
}


@dataclass(frozen=True)
class Global:
    """A class or a function that a pickle names: nothing but the name."""

    name: str


@dataclass(eq=False)
class Stub:
    """An object of a class that is not here."""

    cls: str
    state: dict[str, Any] = field(default_factory=dict)  # its attributes
    entries: dict[str, Any] = field(default_factory=dict)  # where it is a kind of dictionary


Calls = Mapping[str, Callable[..., Any]]


def read_pickle(
    stream: BinaryIO,
    calls: Calls,
    stored: Callable[[Any], Any],
    instructions: int = MAX_INSTRUCTIONS,
) -> Any:
    """The object that the pickle at the stream's position describes; leaves the stream after it.

    `calls` are the functions that a pickle may call, by name; `stored` gives what a persistent id
    stands for. Raises `UnsafeCheckpoint` with a message that begins with what the pickle would do,
    and `ValueError`, `LookupError` or `TypeError` where it is damaged.
    """
    machine = _Machine(calls, stored)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count == instructions:
            raise ValueError(f"its pickle has more than {instructions:,} instructions")
        machine.step(opcode.name, argument)
    return machine.taken(1)[0]


def text_keyed(pairs: Iterable[Any]) -> dict[str, Any]:
    """A dictionary of those pairs whose key is text; no other is of use, or hashed."""
    return {key: value for key, value in pairs if isinstance(key, str)}


def texts(values: Iterable[Any]) -> set[str]:
    """The set of those values that are text."""
    return {value for value in values if isinstance(value, str)}


def title(value: Any) -> str:
    """What a message calls a value; short, for a file may nest its values without end."""
    if isinstance(value, Global):
        return shown(value.name)
    if isinstance(value, Stub):
        return f"an object of {shown(value.cls)}"
    return f"a {type(value).__name__}"


class _Machine:
    """The stack, the marks on it and the memo of one pickle."""

    def __init__(self, calls: Calls, stored: Callable[[Any], Any]) -> None:
        self.calls = calls
        self.stored = stored
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stack under each mark
        self.memo: dict[int, Any] = {}
        self.names = 0
        self.copies = 0

    def step(self, name: str, argument: Any) -> None:
        if name in MAKERS:
            made = MAKERS[name](self, argument)  # may put another stack in place
            self.stack.append(made)
        elif name in CHANGERS:
            CHANGERS[name](self, argument)
        elif name not in IDLE:
            raise UnsafeCheckpoint(f"uses the instruction {name} ({shown(str(argument))})")

    def taken(self, count: int) -> list[Any]:
        """The topmost objects, off the stack."""
        if len(self.stack) < count:
            raise ValueError("its pickle takes from an empty stack")
        objects = self.stack[-count:]
        del self.stack[-count:]
        return objects

    def since_mark(self) -> list[Any]:
        """The objects above the topmost mark, off the stack with it."""
        if not self.below:
            raise ValueError("its pickle goes back to a mark that is not there")
        objects, self.stack = self.stack, self.below.pop()
        return objects

    def pairs_since_mark(self) -> Iterable[Any]:
        objects = self.since_mark()
        return zip(objects[::2], objects[1::2], strict=True)

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def top(self) -> Any:
        if not self.stack:
            raise ValueError("its pickle takes from an empty stack")
        return self.stack[-1]

    def remember(self, key: int) -> None:
        if not 0 <= key < MAX_MEMO:
            raise ValueError("its pickle remembers objects at absurd places")
        self.memo[key] = self.top()

    def recalled(self, key: int) -> Any:
        if key not in self.memo:
            raise ValueError("its pickle recalls what it does not remember")
        return self.memo[key]

    def spend(self, *collections: Any) -> None:
        """Counts what is about to be copied: a few instructions could name much, many times."""
        self.copies += sum(len(c) for c in collections if isinstance(c, COLLECTIONS))
        if self.copies > MAX_COPIES:
            raise ValueError(f"its pickle copies more than {MAX_COPIES:,} values")

    def spend_with_members(self, values: Any) -> None:
        if not isinstance(values, tuple):
            raise ValueError("its pickle has arguments or a state that are no tuple")
        self.spend(values)
        self.spend(*values)

    def persistent(self, saved: Any) -> Any:
        self.spend(saved)
        return self.stored(saved)

    def named(self, module: Any, name: Any) -> Global:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise UnsafeCheckpoint("would fetch what is named by no text")
        if len(module) + len(name) > MAX_LENGTH:
            raise UnsafeCheckpoint(f"would fetch {shown(module)} by an absurdly long name")
        self.names += 1
        if self.names > MAX_NAMES:
            raise ValueError(f"its pickle names more than {MAX_NAMES:,} classes")
        module = RENAMED.get(module, module)
        full = f"{module}.{name}"
        standard = module.partition(".")[0] in sys.stdlib_module_names
        if standard and full not in HARMLESS and full not in self.calls:
            raise UnsafeCheckpoint(f"would fetch {shown(full)}")
        return Global(full)

    def called(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global) or function.name not in self.calls:
            raise UnsafeCheckpoint(f"would run {title(function)}")
        self.spend_with_members(arguments)
        return self.calls[function.name](*arguments)

    def made(self, cls: Any, arguments: Any, _keywords: Any = None) -> Any:
        if not isinstance(cls, Global):
            raise UnsafeCheckpoint(f"would make an object out of {title(cls)}")
        return self.called(cls, arguments) if cls.name in self.calls else Stub(cls.name)

    def extend(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, set):
            target.update(texts(values))
        elif not isinstance(target, Stub):
            raise UnsafeCheckpoint(f"would change {title(target)}")

    def set_entries(self, pairs: Iterable[Any]) -> None:
        target = self.top()
        entries = target.entries if isinstance(target, Stub) else target
        if not isinstance(entries, dict):
            raise UnsafeCheckpoint(f"would change {title(target)}")
        entries.update(text_keyed(pairs))

    def build(self, state: Any) -> None:
        """Gives a stub its attributes; those of anything else have no meaning here."""
        target = self.top()
        if isinstance(target, Global):
            raise UnsafeCheckpoint(f"would change {title(target)}")
        parts = state if isinstance(state, tuple) else (state,)
        self.spend_with_members(parts)
        for attributes in parts:
            if isinstance(attributes, dict):
                _refuse_dunders(target, attributes)
                if isinstance(target, Stub):
                    target.state.update(attributes)


def _refuse_dunders(target: Any, attributes: dict[str, Any]) -> None:
    for name in attributes:
        if name.startswith("__") and name.endswith("__"):
            raise UnsafeCheckpoint(f"would set {shown(name)} of {title(target)}")


Step = Callable[[_Machine, Any], Any]

LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
MAKERS: dict[str, Step] = {  # the instructions that put an object on the stack
    **dict.fromkeys(LITERALS, lambda machine, value: value),
    "NONE": lambda machine, _: None,
    "NEWTRUE": lambda machine, _: True,
    "NEWFALSE": lambda machine, _: False,
    "EMPTY_LIST": lambda machine, _: [],
    "EMPTY_DICT": lambda machine, _: {},
    "EMPTY_SET": lambda machine, _: set(),
    "EMPTY_TUPLE": lambda machine, _: (),
    "TUPLE1": lambda machine, _: tuple(machine.taken(1)),
    "TUPLE2": lambda machine, _: tuple(machine.taken(2)),
    "TUPLE3": lambda machine, _: tuple(machine.taken(3)),
    "TUPLE": lambda machine, _: tuple(machine.since_mark()),
    "LIST": lambda machine, _: machine.since_mark(),
    "DICT": lambda machine, _: text_keyed(machine.pairs_since_mark()),
    "FROZENSET": lambda machine, _: texts(machine.since_mark()),
    "DUP": lambda machine, _: machine.top(),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, key: machine.recalled(key)),
    "GLOBAL": lambda machine, names: machine.named(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.named(*machine.taken(2)),
    "BINPERSID": lambda machine, _: machine.persistent(*machine.taken(1)),
    "REDUCE": lambda machine, _: machine.called(*machine.taken(2)),
    "NEWOBJ": lambda machine, _: machine.made(*machine.taken(2)),
    "NEWOBJ_EX": lambda machine, _: machine.made(*machine.taken(3)),
}
CHANGERS: dict[str, Step] = {  # those that change what is there
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.taken(1),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, key: machine.remember(key)),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    "APPEND": lambda machine, _: machine.extend(machine.taken(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_entries([machine.taken(2)]),
    "SETITEMS": lambda machine, _: machine.set_entries(machine.pairs_since_mark()),
    "BUILD": lambda machine, _: machine.build(*machine.taken(1)),
}
IDLE = {"PROTO", "FRAME", "STOP"}
