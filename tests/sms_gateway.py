"""An SMS gateway that a test can read and vex: it speaks Twilio's HTTP API (the Messages resource) over a real socket."""

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from beforehand.outbound.sms import SmsGateway

ACCOUNT, TOKEN, SENDER = "AC0123456789abcdef0123456789abcdef", "the-account-token", "+31201234567"


@dataclass(frozen=True)
class Received:
    """One text message that the gateway took."""

    sid: str
    to: str
    body: str
    sender: str
    report_url: str


@dataclass
class Answer:
    """How the gateway answers one request. `hang` takes the message and never answers."""

    status: int = 201
    code: int | None = None
    message: str = ""
    retry_after: str = ""
    hang: bool = False


@dataclass
class _Whims:
    to_number: dict[str, Answer] = field(default_factory=dict)
    once: list[Answer] = field(default_factory=list)
    always: Answer | None = None


class FakeSmsGateway:
    """Use as a context manager. `taken` is what it accepted; `whims` says whom it refuses and how."""

    def __init__(self) -> None:
        self.taken: list[Received] = []
        self.requests = 0
        self.whims = _Whims()
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def gateway(self) -> SmsGateway:
        """Where to reach it; it is patient for two seconds only, so that a hanging one is soon known."""
        return SmsGateway(f"http://127.0.0.1:{self._server.server_port}", ACCOUNT, TOKEN, SENDER, timeout=0.5)

    def counts(self) -> Counter[str]:
        """How many texts each number got."""
        return Counter(one.to for one in list(self.taken))

    def last_to(self, number: str) -> Received:
        """The newest text to a number."""
        return [one for one in list(self.taken) if one.to == number][-1]

    def answer(self, form: dict[str, str]) -> tuple[Answer, Received | None]:
        """Decide about one request."""
        with self._lock:
            self.requests += 1
            given = self.whims.once.pop(0) if self.whims.once else self.whims.to_number.get(form["To"])
            given = given or self.whims.always or Answer()
            if given.status != 201 and not given.hang:
                return given, None
            received = Received(
                f"SM{self.requests:032x}", form["To"], form["Body"], form["From"], form["StatusCallback"]
            )
            self.taken.append(received)
            return given, received

    def __enter__(self) -> "FakeSmsGateway":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _handler(gateway: FakeSmsGateway) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            expected = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
            if self.headers.get("Authorization") != expected:
                self._say(401, {"code": 20003, "message": "Authenticate", "status": 401})
                return
            if self.path != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json":
                self._say(404, {"code": 20404, "message": "not found", "status": 404})
                return
            answer, received = gateway.answer(form)
            if answer.hang:
                gateway.released.wait(5)
                self.close_connection = True
                return
            if received is None:
                self._say(
                    answer.status,
                    {"code": answer.code, "message": answer.message or "refused", "status": answer.status},
                    {"Retry-After": answer.retry_after} if answer.retry_after else {},
                )
                return
            self._say(
                201,
                {
                    "sid": received.sid,
                    "status": "queued",
                    "to": received.to,
                    "from": received.sender,
                    "body": received.body,
                    "num_segments": "1",
                    "error_code": None,
                    "error_message": None,
                    "direction": "outbound-api",
                },
            )

        def _say(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are quiet."""

    return Handler
