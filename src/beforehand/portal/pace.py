"""Slows down who guesses codes: so many tries an address, so many in all.

Kept in this process's memory, so nothing is written and a restart forgets: with several web processes the limits hold
for each of them. A neighbourhood of IPv6 addresses (/64, what one household has) counts as one address. How much is
enough: one guess in 34,000 meets one of a million codes (engine/thread_ids.py); at five a second in all that is some
twelve a day, each of which tells only the kind and day of a message.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock

from beforehand.engine.pace import Pace

AN_ADDRESS = Pace(rate_per_second=1 / 20, burst=8)
IN_ALL = Pace(rate_per_second=5, burst=200)
REMEMBERED = 20_000
"""Addresses kept; the one that asked longest ago is forgotten first. Within a minute, fewer than 500 can be served."""


class Guard:
    """Counts tries; any number of threads may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        """As after a start: for tests."""
        self._in_all = IN_ALL
        self._by_address: OrderedDict[str, Pace] = OrderedDict()

    def wait(self, address: str, *, now: float) -> float:
        """0 if this try is allowed, and then it is counted; else the seconds until the next one is."""
        neighbourhood = _neighbourhood(address)
        with self._lock:
            own = self._by_address.get(neighbourhood, AN_ADDRESS)
            wait = max(own.wait(1, now), self._in_all.wait(1, now))
            if wait > 0:
                return wait
            self._in_all = self._in_all.taken(1, now)
            self._by_address[neighbourhood] = own.taken(1, now)
            self._by_address.move_to_end(neighbourhood)
            if len(self._by_address) > REMEMBERED:
                self._by_address.popitem(last=False)
        return 0.0


def _neighbourhood(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address  # a socket file has none: then all share one
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
