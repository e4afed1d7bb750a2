"""Errors whose message is one clear line for the person at the keyboard.

The command line prints the message of a `ZooError` and exits with status 2. Each error is also the
built-in error that a Python caller would expect, so ``except ValueError`` works as usual.
"""


class ZooError(Exception):
    """Base of every error that the zoo raises on purpose."""


class InputError(ZooError, ValueError):
    """A name, value, shape or file that cannot be used; says what was received and what is allowed."""


class FormatError(ZooError, ValueError):
    """A file whose content is damaged, refused, or not of the expected format."""


class DownloadError(ZooError, OSError):
    """A file that could not be fetched, verified or stored."""


class MismatchError(ZooError, ValueError):
    """Source tensors and model variables that do not match one to one; shows the difference."""


class ParityError(ZooError, ArithmeticError):
    """An exported artifact that does not compute what its model computes."""


class DivergedError(ZooError, ArithmeticError):
    """Training whose loss or gradient is no longer finite; says at which step and what to try."""


class WorkerLostError(ZooError, RuntimeError):
    """Training on several workers of which one has ended; says from where the others can go on."""
