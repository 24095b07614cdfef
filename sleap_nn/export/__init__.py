"""Trained networks as files for other runtimes. Names below resolve at first access.

`exporters` writes any torch module; `graph` makes one of a trained model, and `folder` a whole exported folder, which
`inference.exported` reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sleap_nn.lazy_names import lazy_names

if TYPE_CHECKING:
    from sleap_nn.export.exporters import export_model, export_to_onnx, export_to_tensorrt
    from sleap_nn.export.reading import build_bottomup_candidate_template
    from sleap_nn.inference.export_metadata import ExportMetadata

_NAMES = {
    "ExportMetadata": "sleap_nn.inference.export_metadata",
    "build_bottomup_candidate_template": "sleap_nn.export.reading",
    "export_model": "sleap_nn.export.exporters",
    "export_to_onnx": "sleap_nn.export.exporters",
    "export_to_tensorrt": "sleap_nn.export.exporters",
}

__all__ = [
    "ExportMetadata",
    "build_bottomup_candidate_template",
    "export_model",
    "export_to_onnx",
    "export_to_tensorrt",
]

__getattr__ = lazy_names(__name__, _NAMES)
