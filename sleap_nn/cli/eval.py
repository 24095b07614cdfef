"""`sleap-nn eval`: compare predictions with ground truth."""

from typing import Any

import click

from sleap_nn import log
from sleap_nn.cli.options import Command, Number

EXAMPLES = """\
sleap-nn eval -g labels_gt.val.0.slp -p labels_pr.val.0.slp
sleap-nn eval -g truth.slp -p predictions.slp -s results/metrics.test.0.npz
"""


@click.command("eval", cls=Command, epilog=EXAMPLES)
@click.option(
    "--ground_truth_path",
    "-g",
    required=True,
    metavar="LABELS",
    help="Labels with the truth: .slp, or of another program.",
)
@click.option("--predicted_path", "-p", required=True, metavar="LABELS", help="Labels with predictions.")
@click.option(
    "--save_metrics",
    "-s",
    metavar="PATH",
    help="Write the metrics to PATH (.npz) and to the same stem with .json.",
)
@click.option("--oks_stddev", type=Number(min=0, min_open=True), default=0.025, help="Spread of a node in the OKS.")
@click.option(
    "--oks_scale",
    type=Number(min=0, min_open=True),
    help="Fixed area in px^2 for the OKS instead of each animal's box.",
)
@click.option(
    "--match_threshold",
    type=Number(min=0),
    default=0.0,
    help="OKS that a pair must exceed; for centroids the largest distance in px, 0 meaning 50.",
)
@click.option(
    "--user_labels_only/--no-user_labels_only",
    default=True,
    help="Only instances drawn by a user count as truth.",
)
@click.option(
    "--match_method",
    type=click.Choice(["auto", "oks", "centroid", "mask", "semantic"]),
    default="auto",
    help="Compare poses (oks) or centroids; auto: centroids if the predictions have one node.",
)
@click.option("--anchor_part", metavar="NODE", help="Node that is the true centroid; else the mean of visible nodes.")
@click.option(
    "--count_missing_frames/--no-count_missing_frames",
    default=False,
    help="Count animals of frames that were not predicted as missed, instead of skipping those frames.",
)
def command(**options: Any) -> None:
    """Compare predictions with ground truth, and print how well they agree.

    Videos and nodes of the two files are matched by name.
    """
    # Imported here so that --help does not load the label reader.
    from sleap_nn.evaluate import run_evaluation

    log.configure()
    run_evaluation(**options)
