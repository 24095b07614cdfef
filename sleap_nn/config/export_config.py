"""Options of `sleap-nn export`: one field for every keyword of `sleap_nn.export_model.export_models`.

The import stays quick, because the command line's help reads it.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from sleap_nn.config.checks import device_name
from sleap_nn.config.fields import Cli, Option, fields_of
from sleap_nn.config.inference_config import InferenceConfig, lower_case
from sleap_nn.config.limits import MOST_CELLS, MOST_PX, MOST_SAMPLES

FORMATS = ("onnx", "tensorrt", "both")
"""What models are exported as."""

_FILES = "Files"
_INPUT = "Images"
_READING = "Reading of the maps"
_TENSORRT = "TensorRT"


def _of_predictions(name: str, cli: Cli) -> Option:
    """Return the declaration of an option that predictions have as well, as the export spells it."""
    return replace(next(entry.option for entry in fields_of(InferenceConfig) if entry.name == name), cli=cli)


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """How trained models are exported."""

    output: Annotated[
        str | None,
        Option(
            "Folder to write; null: exported in the folder of the model, or exported_topdown in that of the centroid "
            "model.",
            cli=Cli(_FILES, short="-o", aliases=("output-dir",), metavar="DIR"),
        ),
    ] = None
    format: Annotated[
        str,
        Option(
            "What is written; TensorRT needs an NVIDIA GPU and the package tensorrt.",
            choices=FORMATS,
            convert=lower_case,
            cli=Cli(_FILES, short="-f", metavar="[onnx|tensorrt|both]"),
        ),
    ] = "onnx"
    opset_version: Annotated[
        int,
        Option("Version of the ONNX operators.", ge=16, le=25, cli=Cli(_FILES, name="opset-version")),
    ] = 17
    verify: Annotated[
        bool,
        Option(
            "Check the file, and compare what it computes with the trained network.",
            cli=Cli(_FILES, pair=True),
        ),
    ] = True
    device: Annotated[
        str,
        Option(
            "Device on which the network is recorded: auto, cpu, cuda, cuda:<number> or mps.",
            check=device_name,
            cli=Cli(_FILES),
        ),
    ] = "cpu"

    input_scale: Annotated[float | None, _of_predictions("input_scale", Cli(_INPUT, name="input-scale"))] = None
    input_height: Annotated[
        int | None,
        Option(
            "Height in px of the image with which the network is recorded; other heights go as well. null: as in "
            "training.",
            gt=0,
            le=MOST_PX,
            cli=Cli(_INPUT, name="input-height"),
        ),
    ] = None
    input_width: Annotated[
        int | None,
        Option("Its width in px; null: as in training.", gt=0, le=MOST_PX, cli=Cli(_INPUT, name="input-width")),
    ] = None
    crop_size: Annotated[int | None, _of_predictions("crop_size", Cli(_INPUT, name="crop-size"))] = None

    peak_threshold: Annotated[
        float,
        Option("Smallest confidence of a peak.", cli=Cli(_READING, name="peak-threshold")),
    ] = 0.2
    max_instances: Annotated[
        int,
        Option(
            "Instances in the outputs of the graph itself; predictions of this package hold all.",
            ge=1,
            le=MOST_SAMPLES,
            cli=Cli(_READING, name="max-instances", short="-n"),
        ),
    ] = 20
    max_peaks_per_node: Annotated[
        int,
        Option(
            "Peaks a node in the outputs of the graph itself, of bottom-up models; predictions of this package "
            "hold all.",
            ge=1,
            le=MOST_CELLS,
            cli=Cli(_READING, name="max-peaks-per-node"),
        ),
    ] = 20
    n_line_points: Annotated[int, _of_predictions("n_points", Cli(_READING, name="n-line-points"))] = (
        InferenceConfig.n_points
    )
    max_edge_length_ratio: Annotated[
        float, _of_predictions("max_edge_length_ratio", Cli(_READING, name="max-edge-length-ratio"))
    ] = InferenceConfig.max_edge_length_ratio
    dist_penalty_weight: Annotated[
        float, _of_predictions("dist_penalty_weight", Cli(_READING, name="dist-penalty-weight"))
    ] = InferenceConfig.dist_penalty_weight

    precision: Annotated[
        str,
        Option(
            "Floating-point numbers of a TensorRT engine; ONNX files always hold fp32.",
            choices=("fp32", "fp16", "tf32"),
            convert=lower_case,
            cli=Cli(_TENSORRT, metavar="[fp32|fp16|tf32]"),
        ),
    ] = "fp16"
    workspace_size_gb: Annotated[
        float | None,
        Option(
            "Memory in GiB with which an engine is built; null: 2.", gt=0, cli=Cli(_TENSORRT, name="workspace-size-gb")
        ),
    ] = None
    max_batch_size: Annotated[
        int,
        Option(
            "Largest batch of an engine.", ge=1, le=MOST_SAMPLES, cli=Cli(_TENSORRT, name="max-batch-size", short="-b")
        ),
    ] = 8

    def __post_init__(self) -> None:
        """Check and convert the values."""
        from sleap_nn.config.schema import check_fields

        check_fields(self)
