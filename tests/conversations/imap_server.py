"""A real IMAP server over a real socket: pymap, with the mailbox in files; mail comes into it as a mail server lays it there."""

import mailbox
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from pysasl.hashing import BuiltinHash

from beforehand.conversations.imap import ImapServer

USER, PASSWORD = "replies", "a pass:word/with@signs"


class ImapMailServer:
    """Use as a context manager. `deliver` puts mail into the mailbox; `server` says where it is."""

    def __init__(self, home: Path, *, tls: tuple[Path, Path] | None = None) -> None:
        self._home = home
        self._tls = tls
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        home.mkdir(parents=True, exist_ok=True)
        (home / "pymap-etc-passwd").write_text(f"{USER}:::::box:\n")
        hashed = BuiltinHash(rounds=1).hash(PASSWORD)
        (home / "pymap-etc-shadow").write_text(f"{USER}:{hashed}:::::::\n")
        (home / "pymap-etc-group").write_text("")
        self.box = mailbox.Maildir(str(home / "box"), create=True)

    @property
    def server(self) -> ImapServer:
        return ImapServer(
            "127.0.0.1",
            self.port,
            USER,
            PASSWORD,
            is_implicit=False,
            ca_file=str(self._tls[0]) if self._tls else "",
            timeout=10,
        )

    def deliver(self, raw: bytes) -> None:
        self.box.add(raw)

    def __enter__(self) -> "ImapMailServer":
        tls = ["--cert", str(self._tls[0]), "--key", str(self._tls[1])] if self._tls else ["--no-tls"]
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--no-service", "admin"]
        code = "import sys; from pymap.main import main; sys.exit(main())"
        self._log = (self._home / "server.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *place, *tls, "maildir", str(self._home)],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError((self._home / "server.log").read_text())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self._log.close()
        self.box.close()
