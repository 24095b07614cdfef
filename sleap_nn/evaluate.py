"""The verb "evaluate": a file of predictions against a file with the truth.

`run_evaluation` scores poses, `run_tracking_evaluation` tracks. What they compute is in `sleap_nn.evaluation`.
"""

from sleap_nn.evaluation import run_evaluation
from sleap_nn.evaluation.tracks import run_tracking_evaluation

__all__ = ["run_evaluation", "run_tracking_evaluation"]
