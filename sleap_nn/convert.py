"""`convert`: a model of any version as a folder of this one, which holds no pickle; labels in another form."""

from __future__ import annotations

from pathlib import Path

from sleap_nn.data.label_export import ENDINGS, export_labels, format_of
from sleap_nn.data.labels import load_labels
from sleap_nn.data.other_formats import ALLOWED, is_labels
from sleap_nn.errors import MissingFileError, OutputError, UsageError
from sleap_nn.heartbeat import phase
from sleap_nn.inference.load import load_models
from sleap_nn.inference.settings import StageSettings
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.whole_files import partial_folder


def convert(path: str | Path, output: str | Path, output_format: str | None = None) -> list[Path]:
    """Write a model or labels in another form; which it is, the path says.

    Args:
        path: A model as for `convert_model`, or labels as for `convert_labels`.
        output: Where; nothing is replaced.
        output_format: For labels: one of `sleap_nn.data.label_export.NAMES`; None: told from the ending.

    Returns:
        What was written.

    Raises:
        UsageError: A format was given for a model, or its new folder is called like a file of labels.
    """
    path = Path(path)
    if path.name not in model_dir.CONFIGS and is_labels(path):
        return convert_labels(path, output, output_format)
    if output_format is not None:
        raise UsageError(f"{path} is not recognised as labels, so it has no format; labels are {ALLOWED}.")
    if not path.exists():
        raise MissingFileError(f"{path} does not exist; check the path.")
    if Path(output).suffix.lower() in ENDINGS:
        raise UsageError(
            f"{path} is not recognised as labels, so {output} would be the folder of a model; name a folder without "
            f"the ending {Path(output).suffix}."
        )
    return [convert_model(path, output)]


def convert_labels(path: str | Path, output: str | Path, output_format: str | None = None) -> list[Path]:
    """Write labels in another form; images come along where the new form has any.

    Args:
        path: Labels of SLEAP or another program, see `sleap_nn.data.other_formats`.
        output: The new file or folder.
        output_format: See `convert`.

    Returns:
        What was written.

    Raises:
        MissingFileError: The labels or their images are not there.
        DataError: The labels cannot be read, or the format cannot hold them.
        UsageError: The ending of the output does not fit the format.
        OutputError: The output is there already, or cannot be written.
    """
    output = Path(output)
    name = format_of(output, output_format)
    with phase(f"reading {Path(path).name}"):
        labels = load_labels(path)
    with phase(f"writing {output.name}"):
        written = export_labels(labels, output, name)
    count = sum(len(frame.instances) for frame in labels.labeled_frames)
    logger.info("%s: %d frames, %d instances.", path, len(labels.labeled_frames), count)
    return written


def convert_model(path: str | Path, output: str | Path) -> Path:
    """Write a model as ``training_config.yaml`` and ``best.safetensors``, which compute the same.

    Names are translated; what SLEAP up to 1.4 computed otherwise is noted in the configuration (``keras_layers``).

    Args:
        path: A run folder of this or an earlier version, or a file in it.
        output: The new folder; it is created.

    Returns:
        The new folder.

    Raises:
        MissingFileError: The folder, its configuration or its weights are not there.
        ModelError: The weights cannot be read, or do not fit the configuration.
        OutputError: The new folder already holds a model, or cannot be written.
    """
    output = Path(output)
    if any((output / name).exists() for name in (*model_dir.CONFIGS, *model_dir.WEIGHT_FILES)):
        raise OutputError(f"The folder {output} already holds a model; choose another one.")
    model = load_models(path, StageSettings(), device="cpu", precision="32")[0]
    weights = model.network.state_dict()
    with partial_folder(output) as partial:
        model_dir.save_weights(weights, partial / model_dir.PLAIN_WEIGHTS)
        model.config.save(partial / model_dir.CONFIG)
        for path in sorted(partial.iterdir()):
            path.replace(output / path.name)
    read = model_dir.weights_file(model.folder)
    logger.info("%d tensors of %s written to %s.", len(weights), read, output / model_dir.PLAIN_WEIGHTS)
    return output
