"""Sends text messages over Twilio's HTTP API (the Messages resource), or any gateway that speaks it.

A request that was answered is certain; one that was written and never answered is uncertain: the gateway may have it. A
message that a connection was never opened for, or that the gateway asked us to bring later (429, 503), is unsent.
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog

from beforehand.outbound.smtp_protocol import Outcome, SendResult

log = structlog.get_logger()

RETRY_CODES = frozenset({429, 503})
OUR_FAULTS = frozenset({"20003", "20404", "21603", "21606", "21659", "21660", "21703"})
"""Codes that say that our account, its token or its sender is wrong: no customer's fault, so nothing is held against any."""
FULL_QUEUE = frozenset({"21611", "14107", "20429"})
"""The sender's queue or rate is exceeded: later."""
LONGEST_WAIT = 3600.0
USUAL_WAIT = 1.0


@dataclass(frozen=True, slots=True)
class SmsGateway:
    """Where text messages go: the API's address, the account with its token, and who they come from.

    `sender` is a telephone number, a name, or the id of a messaging service ("MG…").
    """

    url: str
    account: str
    token: str = field(repr=False)
    sender: str
    timeout: float = 20.0

    @property
    def messages_url(self) -> str:
        return f"{self.url}/2010-04-01/Accounts/{self.account}/Messages.json"


@dataclass(frozen=True, slots=True)
class OutgoingSms:
    """One text to one number; what becomes of it is reported to `report_url`."""

    key: Hashable
    to: str
    text: str
    report_url: str


class SmsCourier:
    """Carries text messages over several connections, each on a thread of its own. Use as a context manager."""

    def __init__(self, gateway: SmsGateway, *, connections: int = 5) -> None:
        self.connections = connections
        self._gateway = gateway
        self._client = httpx.Client(
            auth=(gateway.account, gateway.token),
            timeout=gateway.timeout,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=5),
            headers={"Accept": "application/json", "User-Agent": "beforehand"},
        )
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="sms")
        self._lock = threading.Lock()
        self._in_flight = 0
        self._failures = 0
        self._wait_asked = 0.0

    def idle(self) -> int:
        """How many flights can be taken on at once without waiting for a connection."""
        return max(0, self.connections - self._in_flight)

    @property
    def failures(self) -> int:
        """Requests in a row that the gateway did not take; `engine.pace.reconnect_delay` turns it into a wait."""
        return self._failures

    @property
    def wait_asked(self) -> float:
        """Seconds that the gateway asked us to stay away, in its last answer."""
        return self._wait_asked

    def submit(self, flight: Sequence[OutgoingSms], landed: Callable[[list[Outcome]], object]) -> None:
        """Send these one after the other; `landed` is called with each outcome as it comes, on the courier's thread."""
        with self._lock:
            self._in_flight += 1
        self._threads.submit(self._carry, tuple(flight), landed)

    def close(self) -> None:
        """End the threads and the connections. Call it when no flight is in the air."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def __enter__(self) -> "SmsCourier":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _carry(self, flight: Sequence[OutgoingSms], landed: Callable[[list[Outcome]], object]) -> None:
        stopped = ""
        for number, one in enumerate(flight):
            outcome = Outcome(one.key, SendResult.UNSENT, None, None, stopped) if stopped else self._post(one)
            if outcome.result is SendResult.UNSENT:
                stopped = outcome.text or "the gateway takes nothing now"
            if number == len(flight) - 1:
                with self._lock:
                    self._in_flight -= 1
            landed([outcome])

    def _post(self, one: OutgoingSms) -> Outcome:
        sender = {"MessagingServiceSid" if self._gateway.sender.startswith("MG") else "From": self._gateway.sender}
        form = {"To": one.to, **sender, "Body": one.text, "StatusCallback": one.report_url}
        try:
            answer = self._client.post(self._gateway.messages_url, data=form)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            return self._unsent(one, None, f"no connection to the SMS gateway: {error}")
        except Exception as error:  # written, or in part, and never answered
            return Outcome(
                one.key, SendResult.UNCERTAIN, None, None, f"the SMS gateway did not answer: {error!r}"[:500]
            )
        return self._read(one, answer)

    def _read(self, one: OutgoingSms, answer: httpx.Response) -> Outcome:
        body = _json(answer)
        code = str(body.get("code") or body.get("error_code") or "")
        status = answer.status_code
        if answer.is_success:
            with self._lock:
                self._failures, self._wait_asked = 0, 0.0
            words = " ".join(str(body[name]) for name in ("status", "sid") if body.get(name))
            return Outcome(one.key, SendResult.ACCEPTED, status, code, words[:500])
        words = str(body.get("message") or answer.reason_phrase)[:500]
        if status in RETRY_CODES or code in FULL_QUEUE:
            return self._unsent(one, status, words, wait=_retry_after(answer))
        if status in (401, 403) or code in OUR_FAULTS:
            log.error("sms_gateway_refuses_us", status=status, code=code, words=words)
            return self._unsent(one, status, words)
        if status >= 500:
            return Outcome(one.key, SendResult.UNCERTAIN, status, code, words)
        with self._lock:
            self._failures, self._wait_asked = 0, 0.0
        return Outcome(one.key, SendResult.REJECTED, status, code, words)

    def _unsent(self, one: OutgoingSms, status: int | None, words: str, *, wait: float = 0.0) -> Outcome:
        with self._lock:
            self._failures += 1
            self._wait_asked = wait
        return Outcome(one.key, SendResult.UNSENT, status, None, words[:500])


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: httpx.Response) -> float:
    """Seconds (RFC 9110 §10.2.3); a date, which this API does not send, counts as none."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_WAIT) if asked.isdecimal() else USUAL_WAIT
