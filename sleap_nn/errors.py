"""The errors a user can cause: each message is one sentence that the command line prints as it is.

Anything else that escapes is a defect of the package and keeps its traceback.
"""

from typing import ClassVar

_MOST_LETTERS = 200


class UserError(Exception):
    """Something the user gave cannot be used; the message says what, what is allowed and what to do.

    Attributes:
        exit_code: What the command line ends with.
    """

    exit_code: ClassVar[int] = 1


class ConfigError(UserError, ValueError):
    """A configuration key or value is wrong."""


class UsageError(ConfigError):
    """Options contradict each other or the input; the command line ends with the code for wrong usage."""

    exit_code = 2


class DataError(UserError, ValueError):
    """Labels, videos or frames cannot be used."""


class ModelError(UserError, ValueError):
    """A model folder or a combination of models cannot be used."""


class MixedModelsError(ModelError):
    """The models do not go together; the command line ends with the code for wrong usage."""

    exit_code = 2


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that was asked for does not exist."""


class OutputError(UserError, OSError):
    """An output cannot be written."""


class InputOverwrittenError(OutputError):
    """The output is a file that the input is read from; the command line ends with the code for wrong usage."""

    exit_code = 2


class DistributedError(UserError, RuntimeError):
    """A process of a training on several devices ended, and with it the training."""


class TrainingCollapsedError(UserError, RuntimeError):
    """Training ended, and the network finds nothing."""

    exit_code = 3


class TrainingInterruptedError(UserError, RuntimeError):
    """Training was told to stop before its end; it can be resumed.

    Its exit code is the system's for "temporary failure, try again" (EX_TEMPFAIL in sysexits.h), which job schedulers
    know.
    """

    exit_code = 75


class DeviceMemoryError(UserError, RuntimeError):
    """The memory of the device is too small for what was asked."""


class EngineError(ModelError, RuntimeError):
    """Another runtime cannot make its file of a network."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """A package that only some features need is not installed."""


def reason(error: BaseException) -> str:
    """Return what another library says is wrong as part of a sentence: its first line, cut where it is long."""
    line = str(error).strip().partition("\n")[0]
    return line[:_MOST_LETTERS] if line else type(error).__name__
