"""A real Dovecot: its own configuration, data and certificates in a folder of its own, on a free port of this machine."""

import datetime
import grp
import ipaddress
import mailbox
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from beforehand.conversations.imap import ImapServer

BINARY = next((path for path in ("/usr/sbin/dovecot", shutil.which("dovecot")) if path and Path(path).exists()), None)
IMAP = Path("/usr/lib/dovecot/imap")
USER, PASSWORD = "replies", "een wachtwoord mét/%tekens@"
FOLDER = "Antwoorden über"

CONFIGURATION = """
protocols = imap
listen = 127.0.0.1
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
mail_location = maildir:{home}/mail
first_valid_uid = 1
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {group}
ssl = required
ssl_cert = <{home}/server.pem
ssl_key = <{home}/server.key
auth_mechanisms = plain
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {home}/users
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner_group} home={home}/mail
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {starttls_port}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
namespace inbox {{
  inbox = yes
}}
"""


def lacking() -> str:
    """Why there is no Dovecot to try; empty where there is one."""
    if BINARY is None or not IMAP.exists():
        return "Dovecot is not installed: apt-get install dovecot-imapd"
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return "" if version.startswith("2.3.") else f"the configuration here is for Dovecot 2.3, not for {version}"


needs_dovecot = pytest.mark.skipif(bool(lacking()), reason=lacking())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_certificates(folder: Path) -> None:
    """An authority of our own in `ca.pem`, and what it signed for 127.0.0.1 in `server.pem` and `server.key`."""
    now = datetime.datetime.now(datetime.UTC)

    def signed(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey) -> bytes:
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        )
        if name != issuer:
            here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            made = made.add_extension(x509.SubjectAlternativeName([here]), critical=False)
        return made.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    (folder / "ca.pem").write_bytes(signed("Our own authority", authority, "Our own authority", authority))
    (folder / "server.pem").write_bytes(signed("mail", server, "Our own authority", authority))
    plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
    (folder / "server.key").write_bytes(server.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


class Dovecot:
    """Use as a context manager. `deliver` lays mail into its mailbox; `server` says where it is; it can stop and come back."""

    def __init__(self) -> None:
        # Not under the tests' own folder: Dovecot's processes run as other users, who may not pass through that.
        self.home = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.home.chmod(0o711)
        self.port, self.starttls_port = free_port(), free_port()
        make_certificates(self.home)
        is_root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid())
        self._owner = pwd.getpwnam("nobody") if is_root else me
        (self.home / "users").write_text(f"{USER}:{PASSWORD}\n", "utf-8")
        (self.home / "mail").mkdir()
        self._box = mailbox.Maildir(str(self.home / "mail"), create=True)
        for name in ("cur", "new", "tmp"):
            (self.home / "mail" / name).mkdir(exist_ok=True)
        self._hand_over()
        (self.home / "dovecot.conf").write_text(
            CONFIGURATION.format(
                home=self.home,
                port=self.port,
                starttls_port=self.starttls_port,
                internal="dovecot" if is_root else me.pw_name,
                login="dovenull" if is_root else me.pw_name,
                group="dovecot" if is_root else grp.getgrgid(os.getegid()).gr_name,
                owner=self._owner.pw_uid,
                owner_group=self._owner.pw_gid,
            )
        )

    @property
    def ca_file(self) -> Path:
        return self.home / "ca.pem"

    def url(
        self, *, user: str = USER, password: str = PASSWORD, folder: str = "INBOX", ca_file: str | None = None
    ) -> str:
        """The setting, as an administrator writes it."""
        known = str(self.ca_file) if ca_file is None else ca_file
        option = f"?ca_file={quote(known)}" if known else ""
        return (
            f"imaps://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.port}/{quote(folder)}{option}"
        )

    @property
    def server(self) -> ImapServer:
        return ImapServer.from_url(self.url())

    def deliver(self, raw: bytes) -> None:
        """A mail arrives."""
        self._box.add(raw)
        self._hand_over()

    def flags(self) -> list[str]:
        """The file name of each mail, in which Dovecot keeps what has been noted of it: `…:2,S` is seen."""
        return sorted(path.name for part in ("cur", "new") for path in (self.home / "mail" / part).iterdir())

    def log(self) -> str:
        path = self.home / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _hand_over(self) -> None:
        """What we laid down belongs to the user as whom mail is read."""
        if os.geteuid() == 0:
            for path in [self.home / "mail", *(self.home / "mail").rglob("*")]:
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def start(self) -> None:
        assert BINARY is not None
        with (self.home / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [BINARY, "-F", "-c", str(self.home / "dovecot.conf")],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self.home / "output").read_text() + self.log())

    def stop(self) -> None:
        """The server and every connection to it are gone."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
        with suppress(
            ProcessLookupError
        ):  # whoever still serves a connection belongs to the session of the one that we started
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> "Dovecot":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self._box.close()
        shutil.rmtree(self.home, ignore_errors=True)


def signed_in_times(log: str) -> int:
    """How often somebody signed in, by Dovecot's own log."""
    return len(re.findall(r"imap-login: Info: Login: user=<replies>", log))
