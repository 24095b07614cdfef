"""Processes of tests are forked from one server that has imported everything; else each would import it for seconds.

There is one such server for a whole run of pytest, and it imports what was asked for before it started. So `conftest`
asks for everything that any test needs, whichever test is the first to start it.
"""

import multiprocessing
from multiprocessing.context import ForkServerContext

PRELOADED = [
    "sleap_nn.training.model_trainer",
    "sleap_nn.after_training",
    "sleap_nn.cli.predict",
    "sleap_nn.cli.prediction",
    "sleap_nn.cli.train",
    "torchvision.models.swin_transformer",
    "predicting",
    "ranks",
]


def fork_server() -> ForkServerContext:
    """Return what starts processes from the server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
