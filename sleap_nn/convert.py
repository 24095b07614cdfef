"""`convert`: a model of any version as a folder of this one, which holds no pickle."""

from __future__ import annotations

from pathlib import Path

from sleap_nn.errors import OutputError
from sleap_nn.inference.load import load_models
from sleap_nn.inference.settings import StageSettings
from sleap_nn.log import logger
from sleap_nn.networks import model_dir


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
    (model,) = load_models(path, StageSettings(), device="cpu", precision="32")
    weights = model.network.state_dict()
    try:
        output.mkdir(parents=True, exist_ok=True)
        model.config.save(output / model_dir.CONFIG)
    except OSError as error:
        raise OutputError(f"The folder {output} cannot be written ({error}); choose another one.") from error
    model_dir.save_weights(weights, output / model_dir.PLAIN_WEIGHTS)
    read = model_dir.weights_file(model.folder)
    logger.info("%d tensors of %s written to %s.", len(weights), read, output / model_dir.PLAIN_WEIGHTS)
    return output
