"""The program of one process that `training.launch` starts: train together with the others."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path

from sleap_nn import log
from sleap_nn.errors import UserError


def main(log_level: int, evaluate: bool) -> None:
    """Train; the first process also predicts and evaluates if asked to, and leaves the outcome to the launcher."""
    from sleap_nn.train import run_training
    from sleap_nn.training.handover import Handover
    from sleap_nn.training.model_trainer import ModelTrainer
    from sleap_nn.training.team import HANDOVER, current_team

    signal.signal(signal.SIGINT, signal.default_int_handler)
    log.relay(log_level)
    handover = Handover(Path(os.environ[HANDOVER]))
    with current_team().guard() as team:
        if not team.is_first:
            warnings.simplefilter("ignore")  # the first process shows the same ones
        labels = handover.read_labels()
        if evaluate:
            trainer = run_training(None, *labels)
        else:
            trainer = ModelTrainer(None, *labels)
            trainer.train()
        if team.is_first:
            handover.write_outcome(trainer.outcome())


def _run() -> int:
    """Return the exit code; the launcher has the message of an error from the common store, and says it once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a stop while modules load ends the process without a traceback
    try:
        main(int(sys.argv[1]), evaluate="evaluate" in sys.argv[2:])
    except UserError as error:
        return error.exit_code
    except KeyboardInterrupt:
        return UserError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_run())
