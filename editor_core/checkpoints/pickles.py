"""The one door for pickles: they are read as plain data, by a machine that builds and never acts.

An inert subclass of `pickle.Unpickler` would be shorter, but it hashes whatever a file uses as a
key (a deep tuple crashes Python, keys of one hash take minutes) and makes room for whatever place
of its memo a file names (gigabytes), before any method of the subclass is asked. This machine has
no instruction for any of that and counts what it does, so that nothing can run, and the limits
below bound its time and memory.

- A name stays a name, a `Global`: nothing is imported and nothing is looked up.
- An object of whatever class is a `Stub`: its class's name and its attributes in a dictionary.
- The only functions it calls are those of the table that its caller gives, by exact name. They
  make descriptions of tensors and plain collections out of such data.
- Dictionaries keep the entries whose key is a short text, and sets their short texts. Nothing else
  is hashed or compared.

A file that asks for more is refused: any other call; any name of the standard library that no
checkpoint needs, called or not; objects that are made by calling (INST, OBJ) or by the extension
registry (EXT); attributes with dunder names; changes of what a name stands for.
"""

import pickletools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeGuard

from .errors import UnsafeCheckpoint, printable

MAX_INSTRUCTIONS = 250_000  # some 45 describe a tensor
MAX_NAMES = 10_000  # an honest pickle names each class once
MAX_COPIES = 500_000  # of members of collections
MAX_TEXT = 500  # characters of a name or a key

COLLECTIONS = (list, tuple, dict, set)
RENAMED_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # since Python 2
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
Stored = Callable[[Any], Any]


def read_pickle(
    stream: BinaryIO, calls: Calls, stored: Stored, instructions: int = MAX_INSTRUCTIONS
) -> Any:
    """The object that a pickle describes, as plain data; `stream` is left after the pickle.

    Numbers, text, bytes, lists, tuples, dictionaries, sets, `Global`, `Stub`, and what `calls`, the
    functions that it may call by full name, and `stored`, which resolves persistent ids, give.
    Raises `UnsafeCheckpoint`, whose message begins with what the pickle would do, or one of
    `reading.DAMAGE` where it is damaged or beyond a limit.
    """
    machine = _Machine(calls, stored)
    for count, (code, argument, _) in enumerate(pickletools.genops(stream)):
        if count == instructions:
            raise ValueError(f"its pickle has more than {instructions:,} instructions")
        if code.name not in _STEPS:
            raise UnsafeCheckpoint(f"uses the instruction {code.name} ({printable(str(argument))})")
        _STEPS[code.name](machine, argument)
    return machine.pop(1)[0]


def is_key(value: Any) -> TypeGuard[str]:
    """Whether a value may be hashed: equal texts of any length would take long to compare."""
    return isinstance(value, str) and len(value) <= MAX_TEXT


def text_keyed(pairs: Iterable[Any]) -> dict[str, Any]:
    """A dictionary of those pairs whose key may be one."""
    return {key: value for key, value in pairs if is_key(key)}


def texts(values: Iterable[Any]) -> set[str]:
    """The set of those values that may be keys."""
    return set(filter(is_key, values))


def title(value: Any) -> str:
    """What a message calls a value; short, for a file may nest its values without end."""
    if isinstance(value, Global):
        return printable(value.name)
    if isinstance(value, Stub):
        return f"an object of {printable(value.cls)}"
    return f"a {type(value).__name__}"


class _Machine:
    """The stack, the marks on it and the memo of one pickle."""

    def __init__(self, calls: Calls, stored: Stored) -> None:
        self.calls = calls
        self.stored = stored
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stack under each mark
        self.memo: list[Any] = []  # no dictionary: chosen numbers collide in one
        self.names = 0
        self.copies = 0

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("its pickle takes from an empty stack")
        objects = self.stack[-count:]
        del self.stack[-count:]
        return objects

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        """The objects above the topmost mark, off the stack with it."""
        if not self.below:
            raise ValueError("its pickle goes back to a mark that is not there")
        objects, self.stack = self.stack, self.below.pop()
        return objects

    def pop_pairs(self) -> Iterable[Any]:
        objects = self.pop_mark()
        return zip(objects[::2], objects[1::2], strict=True)

    def top(self) -> Any:
        if not self.stack:
            raise ValueError("its pickle takes from an empty stack")
        return self.stack[-1]

    def remember(self, place: int) -> None:
        if not 0 <= place < MAX_INSTRUCTIONS:
            raise ValueError("its pickle remembers objects at absurd places")
        self.memo.extend([_FREE] * (place + 1 - len(self.memo)))
        self.memo[place] = self.top()

    def recall(self, place: int) -> None:
        if not 0 <= place < len(self.memo) or self.memo[place] is _FREE:
            raise ValueError("its pickle recalls what it does not remember")
        self.push(self.memo[place])

    def count_copies(self, *collections: Any) -> None:
        """Counts what is about to be copied: a few instructions could name much, many times."""
        self.copies += sum(len(c) for c in collections if isinstance(c, COLLECTIONS))
        if self.copies > MAX_COPIES:
            raise ValueError(f"its pickle copies more than {MAX_COPIES:,} values")

    def count_members(self, values: Any) -> None:
        if not isinstance(values, tuple):
            raise ValueError("its pickle has arguments or a state that are no tuple")
        self.count_copies(values, *values)

    def persistent(self, saved: Any) -> Any:
        self.count_copies(saved)
        return self.stored(saved)

    def name(self, module: Any, name: Any) -> Global:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise UnsafeCheckpoint("would fetch what is named by no text")
        if len(module) + len(name) > MAX_TEXT:
            raise UnsafeCheckpoint(f"would fetch {printable(module)} by an absurdly long name")
        self.names += 1
        if self.names > MAX_NAMES:
            raise ValueError(f"its pickle names more than {MAX_NAMES:,} classes")
        module = RENAMED_MODULES.get(module, module)
        full = f"{module}.{name}"
        standard = module.partition(".")[0] in sys.stdlib_module_names
        if standard and full not in HARMLESS and full not in self.calls:
            raise UnsafeCheckpoint(f"would fetch {printable(full)}")
        return Global(full)

    def call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global) or function.name not in self.calls:
            raise UnsafeCheckpoint(f"would run {title(function)}")
        self.count_members(arguments)
        return self.calls[function.name](*arguments)

    def make(self, cls: Any, arguments: Any, _keywords: Any = None) -> Any:
        if not isinstance(cls, Global):
            raise UnsafeCheckpoint(f"would make an object out of {title(cls)}")
        return self.call(cls, arguments) if cls.name in self.calls else Stub(cls.name)

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
        self.count_members(parts)
        for attributes in (part for part in parts if isinstance(part, dict)):
            for name in attributes:
                if name.startswith("__") and name.endswith("__"):
                    raise UnsafeCheckpoint(f"would set {printable(name)} of {title(target)}")
            if isinstance(target, Stub):
                target.state.update(attributes)


_FREE = object()  # stands at the places of a memo where nothing is remembered
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {  # what each instruction does
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(_LITERALS, lambda machine, value: machine.push(value)),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop(3))),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "LIST": lambda machine, _: machine.push(machine.pop_mark()),
    "DICT": lambda machine, _: machine.push(text_keyed(machine.pop_pairs())),
    "FROZENSET": lambda machine, _: machine.push(texts(machine.pop_mark())),
    "GLOBAL": lambda machine, names: machine.push(machine.name(*names.split(" ", 1))),
    "STACK_GLOBAL": lambda machine, _: machine.push(machine.name(*machine.pop(2))),
    "BINPERSID": lambda machine, _: machine.push(machine.persistent(*machine.pop(1))),
    "REDUCE": lambda machine, _: machine.push(machine.call(*machine.pop(2))),
    "NEWOBJ": lambda machine, _: machine.push(machine.make(*machine.pop(2))),
    "NEWOBJ_EX": lambda machine, _: machine.push(machine.make(*machine.pop(3))),
    "BUILD": lambda machine, _: machine.build(*machine.pop(1)),
    "APPEND": lambda machine, _: machine.extend(machine.pop(1)),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda machine, _: machine.extend(machine.pop_mark())),
    "SETITEM": lambda machine, _: machine.set_entries([machine.pop(2)]),
    "SETITEMS": lambda machine, _: machine.set_entries(machine.pop_pairs()),
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.pop(1),
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    "DUP": lambda machine, _: machine.push(machine.top()),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, at: machine.remember(at)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, at: machine.recall(at)),
}
