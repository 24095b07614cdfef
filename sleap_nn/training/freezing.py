"""`Freeze`: parts of a network that are kept as they are, for the first epochs or for the whole training."""

from __future__ import annotations

from torch import nn

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import ConfigError
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.parts import find_weights

WHERE = "trainer_config.freeze"


class Freeze:
    """Holds weights still.

    A frozen weight takes no gradient, so that neither the rule of the optimizer nor its weight decay moves it; layers
    that follow the statistics of the data stop following. Whether a weight is frozen depends on the epoch alone, so a
    resumed run freezes what an uninterrupted one would.

    Attributes:
        names: Names of the frozen weights.
    """

    def __init__(self, network: PoseNetwork, config: TrainerConfig) -> None:
        """Find the weights.

        Raises:
            ConfigError: The network has no such part, nothing is left to learn, or there is only a number of epochs.
        """
        given = config.freeze if config.freeze is not None else []
        if config.freeze_epochs is not None and not given:
            raise ConfigError(
                f"{WHERE}_epochs is {config.freeze_epochs}, but nothing is frozen; name the parts in {WHERE}."
            )
        self.names = tuple(find_weights(network, given, WHERE))
        learned = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        if set(learned) <= set(self.names):
            raise ConfigError(f"{WHERE} is [{', '.join(given)}], which leaves nothing to learn; leave a part out.")
        weights = dict(network.named_parameters())
        self._weights = [weights[name] for name in self.names if weights[name].requires_grad]
        self._num_epochs = config.freeze_epochs
        self._followers = _followers(network, self._weights)
        self._by_gradient = False

    def prepare(self, several_processes: bool) -> None:
        """Freeze before training starts.

        Processes that train together agree at the start which weights take gradients. What is frozen only for some
        epochs then takes them all along, and they are dropped, see `drop_gradients`.
        """
        self._by_gradient = several_processes and self._num_epochs is not None
        self._set_gradients(frozen=self._active(0))

    def hold(self, epoch: int) -> None:
        """Freeze, or let go, as this epoch asks for; call it before every step."""
        if not self._weights:
            return
        frozen = self._active(epoch)
        self._set_gradients(frozen)
        for layer in self._followers:
            layer.train(not frozen)

    def drop_gradients(self, epoch: int) -> None:
        """Drop the gradients of frozen weights that had to take them."""
        if self._by_gradient and self._active(epoch):
            for weight in self._weights:
                weight.grad = None

    def _set_gradients(self, frozen: bool) -> None:
        """Let weights take gradients or not."""
        for weight in self._weights:
            weight.requires_grad_(self._by_gradient or not frozen)

    def _active(self, epoch: int) -> bool:
        """Tell whether weights are frozen in an epoch."""
        return self._num_epochs is None or epoch < self._num_epochs


def _followers(network: nn.Module, weights: list[nn.Parameter]) -> list[nn.Module]:
    """Return the layers with running statistics all of whose weights are among these."""
    frozen = {id(weight) for weight in weights}
    found = []
    for layer in network.modules():
        own = [id(weight) for weight in layer.parameters(recurse=False)]
        if own and frozen.issuperset(own) and "running_mean" in dict(layer.named_buffers(recurse=False)):
            found.append(layer)
    return found
