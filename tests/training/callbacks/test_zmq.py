import json
import math
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zmq

from sleap_nn.training.callbacks import zmq as zmq_module
from sleap_nn.training.callbacks.listeners import Event
from sleap_nn.training.callbacks.zmq import ZmqListener, is_stop, to_message

HOST = "tcp://127.0.0.1"


class Gui:
    """The other end: both sockets bind."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.progress = self.context.socket(zmq.SUB)
        self.progress.subscribe(b"")
        self.publish_port = self.progress.bind_to_random_port(HOST)
        self.control = self.context.socket(zmq.XPUB)
        self.controller_port = self.control.bind_to_random_port(HOST)

    def wait_for_trainer(self) -> None:
        assert self.control.poll(5000)
        assert self.control.recv() == b"\x01"

    def messages(self, count: int) -> list[dict[str, Any]]:
        received = []
        while len(received) < count and self.progress.poll(5000):
            received.append(json.loads(self.progress.recv()))
        return received


@pytest.fixture(autouse=True)
def short_greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of these GUIs never look for the trainer."""
    monkeypatch.setattr(zmq_module, "GREETING_MS", 20)


@pytest.fixture
def gui() -> Iterator[Gui]:
    made = Gui()
    yield made
    made.context.destroy(linger=0)


@pytest.fixture
def listener(gui: Gui) -> Iterator[ZmqListener]:
    made = ZmqListener(gui.publish_port, gui.controller_port, polling_timeout=1000)
    made.open()
    gui.wait_for_trainer()
    yield made
    made.close(failed=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def sent(event: Event) -> dict[str, Any]:
    message = to_message(event)
    assert message is not None
    return json.loads(message, parse_constant=lambda token: pytest.fail(f"{token} is no JSON"))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Event("train_begin", url="https://a"), {"event": "train_begin", "logs": None, "wandb_url": "https://a"}),
        (Event("train_begin"), {"event": "train_begin", "logs": None, "wandb_url": None}),
        (Event("epoch_begin", epoch=2), {"event": "epoch_begin", "logs": None, "epoch": 2}),
        (Event("batch_start", epoch=2, batch=5), {"event": "batch_start", "logs": None, "batch": 5}),
        (
            Event("batch_end", epoch=2, batch=5, step=9, values={"loss": 0.0381}),
            {"event": "batch_end", "logs": {"loss": 0.0381}, "epoch": 2, "batch": 5},
        ),
        (
            Event("epoch_end", epoch=2, values={"train/loss": 0.5, "val/loss": 0.25, "train/time": 3.0}),
            {
                "event": "epoch_end",
                "logs": {"train/loss": 0.5, "val/loss": 0.25, "train/time": 3.0, "loss": 0.5, "val_loss": 0.25},
                "epoch": 2,
            },
        ),
        (Event("train_end", epoch=2, values={"val/loss": 0.25}), {"event": "train_end", "logs": None}),
    ],
)
def test_every_event_has_its_message(event: Event, message: dict[str, Any]) -> None:
    assert sent(event) == {"what": "", **message}


def test_metrics_after_the_run_are_no_message() -> None:
    assert to_message(Event("evaluated", values={"eval/val.0/mOKS": 0.5})) is None


def test_numbers_that_json_lacks_are_left_out() -> None:
    values = {"train/loss": math.nan, "val/loss": 0.5, "a": math.inf, "b": -math.inf}
    assert sent(Event("epoch_end", epoch=0, values=values))["logs"] == {"val_loss": 0.5, "val/loss": 0.5}
    assert sent(Event("batch_end", epoch=0, batch=0, values={"loss": math.nan}))["logs"] == {}


@pytest.mark.parametrize("message", [b'{"command": "stop"}', b'{"what": "x", "command": "stop", "more": [1]}'])
def test_the_stop_command(message: bytes) -> None:
    assert is_stop(message)


@pytest.mark.parametrize(
    "message",
    [b"", b"stop", b'"stop"', b"[]", b"null", b'{"command": "pause"}', b'{"stop": 1}', b"\xff\xfe\x00", b"[" * 100_000],
)
def test_what_is_no_stop_command(message: bytes) -> None:
    assert not is_stop(message)


def test_the_first_and_the_last_message_arrive(gui: Gui, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher's messages are lost as long as nobody has subscribed, and when it closes at once."""
    monkeypatch.setattr(zmq_module, "GREETING_MS", 5000)
    events = [Event("train_begin"), *[Event("batch_start", batch=i) for i in range(500)], Event("train_end")]
    with ThreadPoolExecutor() as pool:
        messages = pool.submit(gui.messages, len(events))
        listener = ZmqListener(gui.publish_port, None, 0)
        listener.open()
        for event in events:
            listener.write(event)
        listener.close(failed=False)
        assert [message["event"] for message in messages.result()] == [event.kind for event in events]


def test_a_stop_is_found_among_foreign_messages(gui: Gui, listener: ZmqListener) -> None:
    gui.control.send(b"\xffnoise" + bytes(3_000_000))
    gui.control.send_multipart([b'{"command": "stop"}', b"of another protocol"])
    gui.control.send_string('{"command": "pause"}')
    assert not listener.wants_stop(wait=True)
    gui.control.send_string('{"command": "stop"}')
    assert listener.wants_stop(wait=True)
    assert not listener.wants_stop(wait=False)


@pytest.mark.parametrize(("wait", "timeout", "at_least"), [(True, 80, 0.07), (True, 0, 0.0), (False, 5000, 0.0)])
def test_the_wait_for_a_command_is_the_configured_one(wait: bool, timeout: int, at_least: float) -> None:
    listener = ZmqListener(None, free_port(), timeout)
    listener.open()
    start = time.perf_counter()
    assert not listener.wants_stop(wait)
    assert at_least <= time.perf_counter() - start < at_least + 2
    listener.close(failed=False)


def test_without_anybody_there_nothing_blocks() -> None:
    start = time.perf_counter()
    listener = ZmqListener(free_port(), free_port(), 1)
    listener.open()
    for batch in range(5000):
        listener.write(Event("batch_start", batch=batch))
    assert not listener.wants_stop(wait=True)
    listener.close(failed=False)
    assert time.perf_counter() - start < 5


def test_a_gui_that_does_not_read_holds_up_nothing(gui: Gui, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq_module, "GREETING_MS", 5000)
    listener = ZmqListener(gui.publish_port, None, 1)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(gui.messages, 1)
        listener.open()
        listener.write(Event("train_begin"))
        assert first.result()
    start = time.perf_counter()
    for _ in range(20_000):
        listener.write(Event("batch_end", epoch=0, batch=0, values={"loss": 0.5}))
    listener.close(failed=False)
    assert time.perf_counter() - start < 5


def test_one_channel_alone() -> None:
    for ports in ((free_port(), None), (None, free_port())):
        listener = ZmqListener(*ports, 0)
        listener.open()
        listener.write(Event("train_begin"))
        assert not listener.wants_stop(wait=True)
        listener.close(failed=False)


def test_nothing_is_left_open(gui: Gui) -> None:
    listener = ZmqListener(gui.publish_port, gui.controller_port, 0)
    listener.close(failed=True)
    listener.open()
    sockets = [listener._progress, listener._control]
    context = listener._context
    listener.close(failed=True)
    listener.close(failed=True)
    assert context is not None
    assert context.closed
    assert [socket is not None and socket.closed for socket in sockets] == [True, True]
    listener.write(Event("train_end"))
    assert not listener.wants_stop(wait=True)


def test_sockets_that_nobody_closes_do_not_wait_for_the_gui(gui: Gui) -> None:
    listener = ZmqListener(gui.publish_port, gui.controller_port, 0)
    listener.open()
    assert listener._progress is not None
    assert listener._control is not None
    assert listener._progress.getsockopt(zmq.LINGER) == listener._control.getsockopt(zmq.LINGER) == 0
    listener.close(failed=True)
