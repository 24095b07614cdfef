"""The verb `export`: trained models as a folder that other runtimes, and `predict`, can run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sleap_nn.config.export_config import ExportConfig
from sleap_nn.errors import MissingPackageError, MixedModelsError, ModelError, OutputError, UsageError
from sleap_nn.export.folder import Part, config_name, file_names, metadata_of, parts_of, stages_of, write_onnx
from sleap_nn.export.onnx_file import Difference, import_onnx
from sleap_nn.export.tensorrt_engine import WORKSPACE, build_engine
from sleap_nn.export.unused import warn_of_unused
from sleap_nn.heartbeat import phase
from sleap_nn.inference.export_metadata import ENGINE_METADATA, METADATA, STAGES, SUFFIXES, write_stages
from sleap_nn.inference.load import load_models
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.inference.onnx_runtime import import_onnxruntime
from sleap_nn.inference.settings import StageSettings
from sleap_nn.inference.tensorrt_runtime import import_tensorrt
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.whole_files import bring_to_disk, partial_folder


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: The folder.
        onnx: ONNX files, that of the whole model first.
        tensorrt: Engines, likewise.
        metadata: What the folder says of the model.
        differences: By how much each map differs from that of the trained network; empty without verification.
    """

    folder: Path
    onnx: tuple[Path, ...]
    tensorrt: tuple[Path, ...]
    metadata: Path
    differences: dict[str, Difference] = field(default_factory=dict)


def export_models(model_paths: Sequence[str | Path] | str | Path, **options: Any) -> Exported:
    """Export a trained model, or a centroid model together with one of crops.

    Args:
        model_paths: One run folder, or two in any order.
        **options: Fields of `sleap_nn.config.export_config.ExportConfig`.

    Raises:
        MissingFileError: A folder or a file in it is not there.
        MissingPackageError: What exports, or TensorRT, is not installed; nothing has been written.
        ModelError: The models cannot be used or do not go together, or what was exported computes something else.
        OutputError: The folder cannot be written, or holds a trained model.
        ConfigError: An option is wrong.
    """
    config = ExportConfig(**options)
    import_onnx()
    if config.format != "onnx":
        import_tensorrt()
    if config.verify:
        _need_onnxruntime()
    models = _loaded(model_paths, config)
    folder = _output_of(models, config)
    warn_of_unused(models, config)
    for model in models:
        if (model.folder / model_dir.RESUME).is_file():
            logger.warning("The training of %s is not complete; its best weights so far are exported.", model.folder)
    with phase("exporting the model"), partial_folder(folder) as partial:
        onnx, engines, differences = _write(models, config, partial)
        _move(partial, folder)
    return Exported(
        folder,
        tuple(folder / name for name in onnx),
        tuple(folder / name for name in engines),
        folder / METADATA,
        differences,
    )


def _need_onnxruntime() -> None:
    """Refuse to compare without onnxruntime.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import_onnxruntime()
    except MissingPackageError as error:
        raise MissingPackageError(
            'The exported file is compared by onnxruntime, which is not installed; pip install "sleap-nn[export]", or '
            "leave the comparison out with --no-verify."
        ) from error


def _loaded(model_paths: Sequence[str | Path] | str | Path, config: ExportConfig) -> list[LoadedModel]:
    """Load the models in the precision of the files.

    Raises:
        ModelError: They do not go together.
    """
    overrides = {"scale": config.input_scale, "crop_size": config.crop_size}
    try:
        return load_models(
            model_paths, StageSettings(), device=config.device, precision="32", preprocess_config=overrides
        )
    except (MixedModelsError, UsageError) as error:
        raise ModelError(str(error)) from error


def _output_of(models: Sequence[LoadedModel], config: ExportConfig) -> Path:
    """Return the folder to write.

    Raises:
        OutputError: It holds a trained model or files of something else that would be replaced, or is no folder.
    """
    own = models[0].folder / ("exported" if len(models) == 1 else "exported_topdown")
    folder = own if config.output is None else Path(config.output)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; choose a folder for the exported model.")
    if any((folder / name).exists() for name in model_dir.WEIGHT_FILES):
        raise OutputError(f"The folder {folder} holds a trained model; choose another one for the exported model.")
    if not any((folder / name).is_file() for name in (METADATA, STAGES)):
        others = sorted(name for name in file_names() if (folder / name).exists())
        if others:
            raise OutputError(
                f"The folder {folder} holds a {others[0]} that is of no export; choose another one for the exported "
                "model."
            )
    return folder


def _write(
    models: Sequence[LoadedModel], config: ExportConfig, folder: Path
) -> tuple[list[str], list[str], dict[str, Difference]]:
    """Write all files; return the names of ONNX files and of engines, that of the whole first, and the differences."""
    texts = [model.config.to_yaml() for model in models]
    parts = parts_of(models, texts, config)
    kind = "tensorrt" if config.format == "tensorrt" else "onnx"
    metadata = metadata_of(models, texts, config, kind)
    of_file = metadata_of(models, texts, config, "onnx")
    differences: dict[str, Difference] = {}
    one_size = False
    for index, part in enumerate(parts):
        # The first network of a pair reads images of any size, as the graph of both does; the second reads crops.
        written = write_onnx(part, folder, config, of_file, one_size=one_size and index == 2)
        one_size = one_size or (written.one_size and index == 0)
        of = "" if len(parts) == 1 else f" of {part.stem}"
        differences |= {f"{name}{of}": difference for name, difference in written.differences.items()}
    onnx = [f"{part.stem}{SUFFIXES['onnx']}" for part in reversed(parts)]
    engines = []
    if config.format != "onnx":
        engines = [_write_engine(part, folder, config) for part in reversed(parts)]
        metadata_of(models, texts, config, "tensorrt").save(folder / ENGINE_METADATA)
    if config.format == "tensorrt":
        for name in onnx:
            (folder / name).unlink()
        onnx = []
    for index, text in enumerate(texts):
        (folder / config_name(models, index)).write_text(text, encoding="utf-8")
    write_stages(folder / STAGES, stages_of(models, config))
    metadata.save(folder / METADATA)
    return onnx, engines, differences


def _write_engine(part: Part, folder: Path, config: ExportConfig) -> str:
    """Write the engine of a graph whose ONNX file is there, and return its name."""
    _, channels, height, width = part.shape
    # Half of the usual size, as far as the network can read it.
    smallest = [max(part.stride, side // 2 // part.stride * part.stride) for side in (height, width)]
    shapes = (
        (1, channels, *smallest),
        (min(4, config.max_batch_size), channels, height, width),
        (config.max_batch_size, channels, height, width),
    )
    workspace = WORKSPACE if config.workspace_size_gb is None else int(config.workspace_size_gb * 2**30)
    content = (folder / f"{part.stem}{SUFFIXES['onnx']}").read_bytes()
    path = folder / f"{part.stem}{SUFFIXES['tensorrt']}"
    path.write_bytes(build_engine(import_tensorrt(), content, shapes, config.precision, workspace))
    return path.name


def _move(partial: Path, folder: Path) -> None:
    """Put finished files in their place; those of an earlier export of another kind are removed.

    The metadata goes first and comes last, so that parts of two exports are never taken for one; the list of networks
    is always there, so that the folder is known for that of an export.

    Raises:
        OSError: A file cannot be written.
    """
    new = {path.name for path in partial.iterdir()}
    order = sorted(new, key=lambda name: (name == METADATA, name != STAGES, name))
    for name in order:
        with (partial / name).open("rb+") as file:
            bring_to_disk(file.fileno())
    (folder / METADATA).unlink(missing_ok=True)
    for name in file_names() - new:
        (folder / name).unlink(missing_ok=True)
    for name in order:
        (partial / name).replace(folder / name)
