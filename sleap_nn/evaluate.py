"""The verb "evaluate": `run_evaluation` scores a prediction file against a file with the truth.

What it computes is in `sleap_nn.evaluation`.
"""

from sleap_nn.evaluation import run_evaluation

__all__ = ["run_evaluation"]
