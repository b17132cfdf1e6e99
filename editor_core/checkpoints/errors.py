# ruff: noqa: N818  a name such as DamagedCheckpoint says that it is an error
"""What can be wrong with a model file."""

MISFITS = (LookupError, ValueError, TypeError, RuntimeError, ArithmeticError)  # of a file's parts
PRINTED = 160  # characters of a name in a message


class MissingModel(FileNotFoundError):
    """A model file that is not where it was looked for; the message says what to put there."""


class CheckpointError(ValueError):
    """A model file that cannot be used; the message names the file and what to do."""


class DamagedCheckpoint(CheckpointError):
    """Not a whole safetensors or torch file."""


class UnsafeCheckpoint(CheckpointError):
    """A pickle that would do more than hold tensors."""


class UnsupportedCheckpoint(CheckpointError):
    """Whole and safe, but of no kind that is known here."""


def printable(name: str) -> str:
    """A name from a file as a message can print it: short, and without control characters."""
    return ascii(name[:PRINTED])[1:-1]
