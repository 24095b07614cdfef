"""`ZmqListener`: progress to the SLEAP GUI and stop commands from it, as JSON over two ZMQ sockets."""

from __future__ import annotations

import json
import math
import time
from typing import Any, ClassVar

import zmq

from sleap_nn.training.callbacks.drawings import Drawing
from sleap_nn.training.callbacks.listeners import Event, Listener

HOST = "127.0.0.1"
GREETING_MS = 1000
"""How long to wait for a GUI before the first message, which it would miss otherwise; it looks for us now and then."""
FAREWELL_MS = 200
"""How long the last messages may take to leave; without a listener there are none."""
RECONNECT_MS = (100, 2000)
"""Shortest and longest time between two attempts to reach a GUI that is not there."""
MAX_MESSAGES = 1000
"""Most messages that are read in one go, so that a flood of foreign ones cannot hold up the training."""

OLD_NAMES = {"train/loss": "loss", "val/loss": "val_loss"}
"""Value of an epoch -> its name in GUIs of SLEAP 1.4 and older."""


class ZmqListener(Listener):
    """Both sockets connect; the GUI binds. Nothing blocks where nobody listens."""

    service: ClassVar[str] = "The connection to the SLEAP GUI"

    def __init__(self, publish_port: int | None, controller_port: int | None, polling_timeout: int) -> None:
        """Choose the ports on 127.0.0.1, None for neither, and how long to wait for a command, in ms."""
        self.wants_drawings = False
        self._publish_port = publish_port
        self._controller_port = controller_port
        self._polling_timeout = polling_timeout
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._progress: zmq.Socket[bytes] | None = None
        self._control: zmq.Socket[bytes] | None = None

    def open(self) -> None:
        """Connect, and give a listener the time to be there for the first message."""
        self._context = zmq.Context()
        if self._controller_port is not None:
            self._control = self._connect(self._context, zmq.SUB, self._controller_port)
            self._control.subscribe(b"")
        if self._publish_port is not None:
            # A PUB socket to its peer, but one that can be asked whether somebody has subscribed.
            self._progress = self._connect(self._context, zmq.XPUB, self._publish_port)
            self._progress.poll(GREETING_MS)

    def write(self, event: Event) -> None:
        """Send the event, if it is one of those that the GUI knows."""
        message = to_message(event)
        if self._progress is not None and message is not None:
            self._progress.send(message)

    def draw(self, epoch: int, drawings: list[Drawing]) -> None:
        """Do nothing: the GUI reads drawings from the run folder."""

    def wants_stop(self, wait: bool) -> bool:
        """Read the commands that have arrived; foreign messages do not shorten the wait for one."""
        if self._control is None:
            return False
        deadline = time.monotonic() + (self._polling_timeout / 1000 if wait else 0)
        for _ in range(MAX_MESSAGES):
            if not self._control.poll(max(0, round(1000 * (deadline - time.monotonic())))):
                return False
            parts = self._control.recv_multipart()
            if len(parts) == 1 and is_stop(parts[0]):
                return True
        return False

    def close(self, failed: bool) -> None:
        """Close the sockets; the last messages of a run that ended well get the time to leave."""
        if self._control is not None:
            self._control.close(linger=0)
        if self._progress is not None:
            self._progress.close(linger=0 if failed else FAREWELL_MS)
        if self._context is not None:
            self._context.term()
        self._control = self._progress = self._context = None

    def _connect(self, context: zmq.Context[zmq.Socket[bytes]], kind: int, port: int) -> zmq.Socket[bytes]:
        """Return a socket that is connected, or will be once somebody listens."""
        socket = context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS[0])
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS[1])
        socket.connect(f"tcp://{HOST}:{port}")
        return socket


def to_message(event: Event) -> bytes | None:
    """Return the JSON of an event, None for one that the GUI does not know.

    ``what`` names the job in other programs; the GUI takes an empty one for its own. Numbers that JSON lacks are left
    out.
    """
    message: dict[str, Any] = {"what": "", "event": event.kind, "logs": None}
    if event.kind == "train_begin":
        message["wandb_url"] = event.url
    elif event.kind == "epoch_begin":
        message["epoch"] = event.epoch
    elif event.kind == "batch_start":
        message["batch"] = event.batch
    elif event.kind == "batch_end":
        message |= {"logs": _logs(event), "epoch": event.epoch, "batch": event.batch}
    elif event.kind == "epoch_end":
        message |= {"logs": _logs(event), "epoch": event.epoch}
    elif event.kind != "train_end":
        return None
    return json.dumps(message, allow_nan=False).encode()


def is_stop(message: bytes) -> bool:
    """Return whether a message is the stop command; anything else, JSON or not, is none."""
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("command") == "stop"


def _logs(event: Event) -> dict[str, float]:
    """Return the values of an event that are numbers, with both spellings of the losses."""
    values = {name: value for name, value in (event.values or {}).items() if math.isfinite(value)}
    return {OLD_NAMES[name]: value for name, value in values.items() if name in OLD_NAMES} | values
