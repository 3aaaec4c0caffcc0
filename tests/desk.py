"""A worker of a test with several channels: mail first, and whatever loops the test brings."""

import re
import time

from beforehand.outbound.delivery import DeliveryLoop
from beforehand.playbooks.actions import approve_version, push_version
from beforehand.playbooks.bundles import SHIPPED, read_bundle
from tests.driving import Drive


class Desk:
    """Everything that a worker does, by hand, until nothing moves any more."""

    def __init__(self, mails: Drive, *loops: DeliveryLoop) -> None:
        self.mails, self.loops = mails, loops

    def settle(self) -> None:
        for _ in range(20):
            self.mails.settle()
            if not sum(self._deliver(loop) for loop in self.loops):
                return
        raise AssertionError("work never came to rest")

    def _deliver(self, loop: DeliveryLoop) -> int:
        moved = loop.step(wait=0)
        deadline = time.monotonic() + 10
        while not loop.is_idle and time.monotonic() < deadline:
            moved += loop.step(wait=0.01)
        return moved


def spoken_over(source: str, channels: str) -> str:
    """A playbook's source with other channels, "[sms, email]", and so without its tests, which speak of its own."""
    changed, lines = re.subn(r"^channels: .*$", f"channels: {channels}", source, flags=re.MULTILINE)
    assert lines == 1
    return changed.partition("\ntests:")[0] + "\n"


def speak_by(channels: str, *, message_class: str = "service-critical") -> None:
    """The shipped playbook of outages is in force, with these channels: "[sms, email]"."""
    source, texts = read_bundle(SHIPPED / "outage")
    source = spoken_over(source, channels)
    source = re.sub(r"^class: [a-z-]+", f"class: {message_class}", source, flags=re.MULTILINE)
    approve_version(push_version(source=source, texts=texts, actor="t"), user=None, actor="t")
