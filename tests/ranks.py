"""Processes that train together as torchrun or srun would start them, forked from one that has imported everything."""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from forking import fork_server


@dataclass(frozen=True)
class Act:
    """Something that happens in one process.

    Attributes:
        number: When: at the n-th draw of its training set, at the n-th backward pass, or at the n-th evaluation.
        what: Name of a signal, or of the error that is raised at a draw: "DataError", "RuntimeError"; "no memory" in a
            backward pass of more than a sample; "stop in evaluation"; "little memory" for all that is decided.
    """

    number: int
    what: str


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it printed."""

    exit_code: int
    output: str


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def torchrun_environment(rank: int, count: int, port: int, num_machines: int = 1) -> dict[str, str]:
    """Return what torchrun sets in a process."""
    per_machine = count // num_machines
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_RANK": str(rank % per_machine),
        "LOCAL_WORLD_SIZE": str(per_machine),
        "GROUP_RANK": str(rank // per_machine),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def srun_environment(rank: int, count: int, port: int) -> dict[str, str]:
    """Return what srun sets in a process, on one machine."""
    return {
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "SLURM_STEP_NUM_TASKS": str(count),
        "SLURM_STEP_TASKS_PER_NODE": str(count),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_JOB_ID": "4711",
        "MASTER_PORT": str(port),
    }


def fit_together(
    folder: Path,
    configs: Sequence[Any],
    acts: Mapping[int, Act] | None = None,
    environments: Sequence[Mapping[str, str]] | None = None,
    timeout: float = 60,
) -> list[Ended]:
    """Fit a network in several processes, and return how they ended, in their order.

    Every process has its own working folder ``<folder>/machine<rank>`` and leaves its weights there as ``weights.pt``.

    Args:
        folder: Where their folders are made.
        configs: What each process is given as configuration.
        acts: What happens in which process.
        environments: Variables of the processes; by default those of torchrun on one machine.
        timeout: Seconds after which the processes are killed, which fails the test.
    """
    count, port = len(configs), free_port()
    if environments is None:
        environments = [torchrun_environment(rank, count, port) for rank in range(count)]
    context = fork_server()
    processes = []
    for rank, (config, variables) in enumerate(zip(configs, environments, strict=True)):
        own = folder / f"machine{rank}"
        own.mkdir(exist_ok=True)
        act = (acts or {}).get(rank)
        processes.append(context.Process(target=_fit, args=(config, dict(variables), own, act)))
        processes[-1].start()
    deadline = time.monotonic() + timeout
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    late = [process.is_alive() for process in processes]
    for process in processes:
        process.kill()
        process.join()
    outputs = [(folder / f"machine{rank}" / "output.txt").read_text() for rank in range(count)]
    assert not any(late), "\n".join(outputs)
    return [Ended(int(process.exitcode or 0), text) for process, text in zip(processes, outputs, strict=True)]


def start_program(folder: Path, *arguments: str) -> BaseProcess:
    """Start the command line in a folder; what it prints goes to ``output.txt`` there.

    The process lives in a session of its own and hears Ctrl+C, whatever the shell that runs the tests made of it.
    """
    context = fork_server()
    process = context.Process(target=_run_program, args=(folder, arguments))
    process.start()
    return process


def _run_program(folder: Path, arguments: tuple[str, ...]) -> None:
    from sleap_nn.cli import cli

    os.setsid()
    _enter(folder)
    cli(list(arguments))


def _enter(folder: Path) -> None:
    """Work in a folder, and print to a file there."""
    os.chdir(folder)
    descriptor = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _fit(config: Any, variables: dict[str, str], folder: Path, act: Act | None) -> None:
    """Fit in this process, and end it as the command line does."""
    os.environ.update(variables)
    _enter(folder)
    code = 1
    try:
        _fit_here(config, act)
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except KeyboardInterrupt:
        print("Aborted.")
    except BaseException as error:  # noqa: BLE001 - what the command line would do with it
        from sleap_nn.errors import UserError

        if isinstance(error, UserError):
            print(f"Error: {error}")
            code = error.exit_code
        else:
            traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _fit_here(config: Any, act: Act | None) -> None:
    import torch

    from sleap_nn import log
    from sleap_nn.training import lifeline
    from sleap_nn.training.model_trainer import ModelTrainer

    lifeline.BEAT, lifeline.GRACE = 0.2, 1.0  # the same, sooner
    log.configure()
    if act is not None:
        _plan(act)
    trainer = ModelTrainer(config)
    trainer.train()
    assert trainer.lightning_model is not None
    weights = trainer.lightning_model.model.state_dict()
    if not any("DTensor" in type(tensor).__name__ for tensor in weights.values()):
        torch.save(weights, "weights.pt")


def _plan(act: Act) -> None:
    """Let something happen."""
    if act.what == "no memory":
        _run_out_of_memory(act.number)
    elif act.what == "little memory":
        from sleap_nn.training import batch_size

        batch_size.free_memory = lambda accelerator: 1
    elif act.what == "stop in evaluation":
        _stop_in_evaluation(act.number)
    else:
        _act_at_draw(act)


def _run_out_of_memory(number: int) -> None:
    import torch

    from sleap_nn.networks.network import PoseNetwork

    forward, count = PoseNetwork.forward, iter(range(10**9))

    def fail(gradient: torch.Tensor) -> None:
        print("no memory")
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def watched(self: PoseNetwork, image: torch.Tensor) -> dict[str, torch.Tensor]:
        outputs = forward(self, image)
        if torch.is_grad_enabled() and len(image) > 1 and next(count) == number:
            for output in outputs.values():
                output.register_hook(fail)
        return outputs

    PoseNetwork.forward = watched  # pyright: ignore[reportAttributeAccessIssue]


def _stop_in_evaluation(number: int) -> None:
    from sleap_nn.training.callbacks import evaluate, resume_point

    keep_step, count = evaluate._keep_step, iter(range(10**9))
    resume_point.PATIENCE = 0

    def watched(trainer: Any) -> None:
        if next(count) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        keep_step(trainer)

    evaluate._keep_step = watched


def _act_at_draw(act: Act) -> None:
    from sleap_nn import errors
    from sleap_nn.data.dataset import PoseDataset

    read, count = PoseDataset.__getitem__, iter(range(10**9))

    def watched(self: PoseDataset, draw: Any) -> Any:
        if self._augmenter is not None and next(count) == act.number:
            if act.what.startswith("SIG"):
                os.kill(os.getpid(), signal.Signals[act.what])
            else:
                raise {"DataError": errors.DataError, "RuntimeError": RuntimeError}[act.what]("It went wrong.")
        return read(self, draw)

    PoseDataset.__getitem__ = watched  # pyright: ignore[reportAttributeAccessIssue]
