"""From frames to instances: load models, run stages, write labels. Names below resolve at first access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sleap_nn.lazy_names import lazy_names

if TYPE_CHECKING:
    from sleap_nn.inference.predictor import Predictor
    from sleap_nn.inference.provenance import (
        build_inference_provenance,
        build_tracking_only_provenance,
        merge_provenance,
    )
    from sleap_nn.inference.run import predict

_NAMES = {
    "Predictor": "sleap_nn.inference.predictor",
    "predict": "sleap_nn.inference.run",
    "build_inference_provenance": "sleap_nn.inference.provenance",
    "build_tracking_only_provenance": "sleap_nn.inference.provenance",
    "merge_provenance": "sleap_nn.inference.provenance",
}

__all__ = [
    "Predictor",
    "build_inference_provenance",
    "build_tracking_only_provenance",
    "merge_provenance",
    "predict",
]

__getattr__ = lazy_names(__name__, _NAMES)
