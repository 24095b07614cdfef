"""Trained networks as files for other runtimes. Names below resolve at first access.

`exporters` writes any torch module; `graph` makes one of a trained model, and `folder` a whole exported folder, which
`inference.exported` reads.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
