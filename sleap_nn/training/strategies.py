"""How several devices share the work of a step: every device has all weights (ddp), or each a part of them (fsdp)."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

from sleap_nn.training.devices import Devices
from sleap_nn.training.team import Team


class WholeWeights(DDPStrategy):
    """Data-parallel training in which `TrainingModule` adds up the gradients, after its own backward passes.

    The engine would exchange them during the backward pass, in which a process that runs out of memory, and makes its
    step anew in parts, could not keep step with the others. Weights that no loss reaches need no special care.
    """

    def configure_ddp(self) -> None:
        """Leave the module as it is."""


def make_strategy(devices: Devices, team: Team) -> Strategy | str:
    """Return what the engine calls its strategy; a process alone needs none."""
    if team.is_alone:
        return "auto"
    if devices.is_divided:
        return ModelParallelStrategy(team.place.size, tensor_parallel_size=1, save_distributed_checkpoint=False)
    return WholeWeights()


def make_environment(team: Team) -> ClusterEnvironment:
    """Return where the engine learns its place; it is not left to guess, and starts no processes."""
    return LightningEnvironment() if team.is_alone else TorchElasticEnvironment()


def divide_weights(module: LightningModule, network: nn.Module) -> bool:
    """Divide the weights over the devices if the strategy is fsdp, and tell whether it is.

    Weights, gradients and the state of the optimizer are divided; for a step the weights are put together once.
    """
    mesh = module.device_mesh
    if mesh is None:
        return False
    fully_shard(network, mesh=mesh["data_parallel"])
    return True


def whole_weights(trainer: Trainer) -> Mapping[str, Tensor] | None:
    """Return the weights of the module put together, in the first process; None where they were never divided.

    All processes call this together.
    """
    strategy = trainer.strategy
    return strategy.lightning_module_state_dict() if isinstance(strategy, ModelParallelStrategy) else None
