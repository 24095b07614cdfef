"""How good predictions are: `Evaluator` for labels, `run_evaluation` for files, `load_metrics` for results.

The kernels on arrays are `keypoints` (poses) and `detection` (centroids); `pairs` turns labels into arrays.
Nothing here needs torch.
"""

from sleap_nn.evaluation.detection import compute_gt_centroids, match_centroids
from sleap_nn.evaluation.evaluator import Evaluator, compute_dists, match_frame_pairs, match_instances
from sleap_nn.evaluation.keypoints import compute_instance_area, compute_oks
from sleap_nn.evaluation.metrics_files import load_metrics, write_metrics
from sleap_nn.evaluation.pairs import find_frame_pairs
from sleap_nn.evaluation.run import run_evaluation

__all__ = [
    "Evaluator",
    "compute_dists",
    "compute_gt_centroids",
    "compute_instance_area",
    "compute_oks",
    "find_frame_pairs",
    "load_metrics",
    "match_centroids",
    "match_frame_pairs",
    "match_instances",
    "run_evaluation",
    "write_metrics",
]
