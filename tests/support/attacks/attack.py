"""What an attack is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """A file, the class of the error that it must raise, and what the message must say."""

    name: str
    content: bytes
    error: str
    reason: str  # a regular expression
    runs: bytes = b""  # the pickle in it that an ordinary unpickler would run
    short: bytes = b""  # of the same form and a tenth of the length, if that is long

    @property
    def file(self) -> str:
        return f"{self.name}.{'safetensors' if 'header' in self.name else 'pt'}"
