"""`sleap-nn track-eval`, also `eval-tracking`: how well tracks keep identities."""

from typing import Any

import click

from sleap_nn import log
from sleap_nn.cli.options import Command, Number

EXAMPLES = """\
sleap-nn track-eval -g proofread.slp -p tracked.slp
sleap-nn track-eval -g proofread.slp -p tracked.slp -s results/tracking.json
"""


@click.command("track-eval", cls=Command, epilog=EXAMPLES)
@click.option("--ground_truth_path", "-g", required=True, metavar="SLP", help="Label file with the true tracks.")
@click.option("--predicted_path", "-p", required=True, metavar="SLP", help="Label file with predicted tracks.")
@click.option("--save_metrics", "-s", metavar="PATH", help="JSON file to write.")
@click.option(
    "--carrier",
    type=click.Choice(["auto", "pose", "mask"]),
    default="auto",
    help="What is compared; auto: poses. Masks are not available yet.",
)
@click.option(
    "--match_threshold",
    type=Number(min=0, min_open=True),
    help="Smallest OKS of a pair, 0.5 if not given; for skeletons of one node the largest distance, 50 px.",
)
@click.option(
    "--mt_threshold",
    type=Number(0, 1),
    default=0.8,
    help="An animal found in more than this share of its frames is mostly tracked.",
)
@click.option(
    "--ml_threshold",
    type=Number(0, 1),
    default=0.2,
    help="An animal found in less than this share of its frames is mostly lost.",
)
@click.option(
    "--user_labels_only/--no-user_labels_only",
    default=False,
    help="Only instances drawn by a user count as truth.",
)
@click.option(
    "--global_identity/--per_video_identity",
    default=False,
    help="A track name means the same animal in all videos, or in its video only.",
)
@click.option("--oks_stddev", type=Number(min=0, min_open=True), default=0.025, help="Spread of a node in the OKS.")
def command(**options: Any) -> None:
    """Compare tracks with true ones, and print how well identities were kept.

    IDF1, HOTA, CLEAR-MOT and identity switches, as TrackEval and py-motmetrics define them.
    """
    # Imported here so that --help does not load the label reader.
    from sleap_nn.evaluate import run_tracking_evaluation

    log.configure()
    run_tracking_evaluation(**options)
