"""`sleap-nn train`: a configuration file and overrides to a run folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sleap_nn import log
from sleap_nn.cli.options import Command
from sleap_nn.cli.stopping import stopping_on_sigterm
from sleap_nn.cli.video_options import read_video_paths, video_options

if TYPE_CHECKING:
    from sleap_nn.data.video_paths import VideoPaths

EXAMPLES = """\
sleap-nn train config.yaml
sleap-nn train -c config -d configs/ trainer_config.max_epochs=50
sleap-nn train config.yaml "data_config.train_labels_path=[a.pkg.slp,b.pkg.slp]" trainer_config.optimizer.lr=5e-4
sleap-nn train config.yaml data_config.split.split_by=video
sleap-nn train config.yaml --prefix-map /old/server/data /new/local/data
sleap-nn train config.yaml -v /data/first.mp4 -v /data/second.mp4
sleap-nn train config.yaml trainer_config.trainer_devices=2
torchrun --nproc-per-node=4 -m sleap_nn.cli train config.yaml
sleap-nn train --resume models/run

An override is key=value; a key that the file does not contain is added, ~key returns to its default.
All GPUs of a machine train, unless trainer_config.trainer_devices or trainer_device_indices say otherwise; torchrun and
srun start processes on several machines.
Ctrl+C and SIGTERM save the state of the run first; --resume goes on exactly where it stopped, also after a crash.
Exit codes: 0 success, 1 failure, 2 wrong usage, 3 training ended with a network that finds nothing, 75 interrupted:
continue with --resume.
"""


@click.command("train", cls=Command, epilog=EXAMPLES)
@click.argument("arguments", nargs=-1, metavar="[CONFIG.yaml] [OVERRIDE]...")
@click.option("--config", "config_path", metavar="PATH", help="Configuration file, like the first argument.")
@click.option("--config-name", "-c", metavar="NAME", help="Name of the configuration file, with or without .yaml.")
@click.option("--config-dir", "-d", metavar="DIR", default=".", help="Folder of --config-name.")
@click.option("--resume", metavar="RUN_FOLDER", help="Go on with an interrupted run; needs nothing else.")
@video_options
@click.pass_context
def command(
    ctx: click.Context,
    arguments: tuple[str, ...],
    config_path: str | None,
    config_name: str | None,
    config_dir: str,
    resume: str | None,
    **video_values: Any,
) -> None:
    """Train a model, then predict and evaluate the labelled frames with it.

    With trainer_config.save_ckpt=true everything is kept in <ckpt_dir>/<run_name>: configuration, weights,
    training_log.csv, the labels used, predictions, metrics, and report.html, which shows it all on one page.
    """
    source, overrides = find_source(arguments, config_path, config_name, config_dir)
    if resume is not None and source is not None:
        raise click.UsageError("--resume takes the configuration from the run folder; leave the other one out.", ctx)
    if resume is None and source is None:
        show_help(ctx, arguments)
        return
    check_overrides(ctx, overrides)
    video_paths = read_video_paths(ctx, **video_values)
    with stopping_on_sigterm():
        _train(source, overrides, resume, video_paths)


def _train(source: Path | None, overrides: list[str], resume: str | None, video_paths: VideoPaths | None) -> None:
    """Train, and print where the result is."""
    # Imported here so that --help does not load torch.
    from sleap_nn.config.training_job_config import TrainingJobConfig
    from sleap_nn.system_info import get_startup_info_string
    from sleap_nn.train import resume_training, run_training
    from sleap_nn.training.team import current_team

    log.configure()
    began = time.monotonic()
    log.logger.info("Started training at: %s", datetime.now())
    log.logger.info("%s", get_startup_info_string())
    with current_team().guard() as team:
        if source is None:
            trainer = resume_training(str(resume), overrides, video_paths)
        else:
            config = TrainingJobConfig.load(source, overrides) if team.is_first else None
            if config is not None:
                log.logger.info("Input config:\n%s", config.to_yaml())
            trainer = run_training(config, video_paths=video_paths)
    if not team.is_first:
        return
    log.logger.info("Finished after %.1f min", (time.monotonic() - began) / 60)
    if trainer.run_dir is not None:
        click.echo(f"Run folder: {trainer.run_dir}")


def show_help(ctx: click.Context, arguments: Sequence[str]) -> None:
    """Print the help, for no configuration is named; whoever gave arguments is told that they do nothing."""
    click.echo(ctx.get_help())
    if arguments:
        click.echo(
            f"Nothing was done: {arguments[0]!r} is no configuration file; name one that ends in .yaml first, then "
            "overrides.",
            err=True,
        )


def check_overrides(ctx: click.Context, overrides: Sequence[str]) -> None:
    """Refuse arguments that are no overrides.

    Raises:
        click.UsageError: The message names the first.
    """
    wrong = [text for text in overrides if "=" not in text and not text.startswith("~")]
    if wrong:
        raise click.UsageError(f"{wrong[0]!r} is no override; write key=value, or ~key for the default.", ctx)


def find_source(
    arguments: tuple[str, ...], config_path: str | None, config_name: str | None, config_dir: str
) -> tuple[Path | None, list[str]]:
    """Return the configuration file and the overrides; the first argument counts before the options."""
    overrides = list(arguments)
    if overrides and overrides[0].endswith((".yaml", ".yml")) and "=" not in overrides[0]:
        return Path(overrides.pop(0)), overrides
    if config_path is not None:
        return Path(config_path), overrides
    if config_name is None:
        return None, overrides
    name = config_name if config_name.endswith((".yaml", ".yml")) else f"{config_name}.yaml"
    return Path(config_dir) / name, overrides
