"""The program of one process that `training.launch` starts: fit the network together with the others."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path

from sleap_nn import log
from sleap_nn.errors import UserError


def main(log_level: int) -> None:
    """Train; the first process leaves the outcome where the launcher finds it."""
    from sleap_nn.training.handover import Handover
    from sleap_nn.training.model_trainer import ModelTrainer
    from sleap_nn.training.team import HANDOVER, current_team

    signal.signal(signal.SIGINT, signal.default_int_handler)
    log.relay(log_level)
    handover = Handover(Path(os.environ[HANDOVER]))
    team = current_team()
    if not team.is_first:
        warnings.simplefilter("ignore")  # the first process shows the same ones
    with team.guard():
        trainer = ModelTrainer(None, *handover.read_labels())
        trainer.train()
    if team.is_first:
        handover.write_outcome(trainer.outcome())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a stop while modules load ends the process without a traceback
    try:
        main(int(sys.argv[1]))
    except (UserError, KeyboardInterrupt) as error:
        # The launcher has the message from the common store, and says it once.
        sys.exit(error.exit_code if isinstance(error, UserError) else UserError.exit_code)
