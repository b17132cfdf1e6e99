"""Errors that the user can correct, in one line."""

USER_ERRORS = (ValueError, OSError)


def one_line(error: BaseException) -> str:
    """The error as the command line shows it."""
    return f"error: {' '.join(str(error).split())}"
