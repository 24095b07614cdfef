"""A small SLEAP GUI: it listens to the progress of a training over ZMQ, and can stop it."""

import json
import threading
from typing import Any

import zmq


class Gui(threading.Thread):
    """Collects all messages of a run, and sends a command when the n-th batch ends."""

    def __init__(self, stop_at_batch: int | None) -> None:
        super().__init__(daemon=True)
        self.messages: list[dict[str, Any]] = []
        self._stop_at_batch = stop_at_batch
        self._context = zmq.Context()
        self._progress = self._context.socket(zmq.SUB)
        self._progress.subscribe(b"")
        self.publish_port = self._progress.bind_to_random_port("tcp://127.0.0.1")
        self._control = self._context.socket(zmq.PUB)
        self.controller_port = self._control.bind_to_random_port("tcp://127.0.0.1")

    def run(self) -> None:
        num_batches = 0
        while not self.messages or self.messages[-1]["event"] != "train_end":
            if not self._progress.poll(120_000):
                break
            self.messages.append(json.loads(self._progress.recv()))
            if self.messages[-1]["event"] == "batch_end":
                self._control.send(b"not for you")
                if num_batches == self._stop_at_batch:
                    self._control.send_string('{"command": "stop"}')
                num_batches += 1
        self._context.destroy(linger=0)

    def ports(self, timeout: int) -> dict[str, int]:
        return {
            "publish_port": self.publish_port,
            "controller_port": self.controller_port,
            "controller_polling_timeout": timeout,
        }

    def kinds(self) -> list[str]:
        self.join(150)
        return [message["event"] for message in self.messages]
