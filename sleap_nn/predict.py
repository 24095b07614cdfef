"""The verb `predict`: this module can be called, ``sleap_nn.predict(source, model_paths=...)``.

It is the function `sleap_nn.inference.predict` under another name, and grows nothing of its own. Scripts of earlier
releases import `run_inference` from here.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from sleap_nn.inference.run import predict
from sleap_nn.legacy_predict import frame_list, run_inference

__all__ = ["frame_list", "predict", "run_inference"]


class _CallableModule(ModuleType):
    """A module that forwards a call to `predict`."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Predict; arguments as for `sleap_nn.inference.predict`."""
        return predict(*args, **keywords)


sys.modules[__name__].__class__ = _CallableModule
