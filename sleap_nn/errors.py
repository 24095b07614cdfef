"""The errors a user can cause: each message is one sentence that the command line prints as it is.

Anything else that escapes is a defect of the package and keeps its traceback.
"""


class UserError(Exception):
    """Something the user gave cannot be used; the message says what, what is allowed and what to do."""


class ConfigError(UserError, ValueError):
    """A configuration key or value is wrong."""


class UsageError(ConfigError):
    """Options contradict each other or the input; the command line ends with the code for wrong usage."""


class DataError(UserError, ValueError):
    """Labels, videos or frames cannot be used."""


class ModelError(UserError, ValueError):
    """A model folder or a combination of models cannot be used."""


class MixedModelsError(ModelError):
    """The models do not go together; the command line ends with the code for wrong usage."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that was asked for does not exist."""


class OutputError(UserError, OSError):
    """An output cannot be written."""


class InputOverwrittenError(OutputError):
    """The output is a file that the input is read from; the command line ends with the code for wrong usage."""


class TrainingCollapsedError(UserError, RuntimeError):
    """Training ended, and the network finds nothing."""


class TrainingInterruptedError(UserError, RuntimeError):
    """Training was told to stop before its end; it can be resumed."""


class DeviceMemoryError(UserError, RuntimeError):
    """The memory of the device is too small for what was asked."""
