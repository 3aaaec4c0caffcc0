"""The proxy file of the documentation, in a real nginx before a real web process: only ports, certificate and address change."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import Client

from tests.cast import PASSWORD, Cast, make_cast
from tests.faults.processes import ROOT, free_port, web_process
from tests.outbound.test_smtp import certificate  # noqa: F401

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
HOST = "service.example.com"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.database,
    pytest.mark.faults,
    pytest.mark.skipif(
        not Path(NGINX).exists(), reason="no nginx on this machine: `apt-get install nginx-light` brings one"
    ),
]

AROUND = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


class Proxy:
    """A running nginx; `secure` and `plain` are its addresses."""

    def __init__(self, secure: int, plain: int) -> None:
        self.secure, self.plain = f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}"
        self.client = httpx.Client(verify=False, headers={"Host": HOST}, timeout=60)


def adapted(text: str, *, secure: int, plain: int, upstream: int, pem: Path) -> str:
    """The documented servers on ports and with a certificate that a test can have; every other line as it is."""
    changes = (
        (r"^\s*listen \[::\].*\n", ""),
        (r"listen 443\b", f"listen 127.0.0.1:{secure}"),
        (r"listen 80\b", f"listen 127.0.0.1:{plain}"),
        (r"/etc/letsencrypt/\S+\.pem", str(pem)),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{upstream}"),
    )
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        assert count, f"nothing in the file is like {pattern}"
    return text


@pytest.fixture
def proxy(certificate: Path, tmp_path: Path) -> Iterator[Proxy]:  # noqa: F811
    secure, plain = free_port(), free_port()
    settings = {"BEFOREHAND_BASE_URL": f"https://{HOST}", "BEFOREHAND_TRUSTED_PROXIES": "127.0.0.1"}
    with web_process(tmp_path / "web.log", **settings) as (url, _process):
        text = (ROOT / "docs/examples/nginx.conf").read_text("utf-8")
        upstream = int(url.rpartition(":")[2])
        servers = adapted(text, secure=secure, plain=plain, upstream=upstream, pem=certificate)
        conf = tmp_path / "nginx.conf"
        conf.write_text(AROUND.format(folder=tmp_path, servers=servers), "utf-8")
        nginx = subprocess.Popen([NGINX, "-c", str(conf), "-p", str(tmp_path)], env={**os.environ, "LC_ALL": "C"})
        try:
            found = Proxy(secure, plain)
            deadline = time.monotonic() + 60
            while True:
                try:
                    found.client.get(f"{found.secure}/healthz")
                    break
                except httpx.TransportError:
                    assert nginx.poll() is None, "nginx did not take the documented file"
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield found
        finally:
            nginx.terminate()
            nginx.wait(30)


@pytest.fixture
def cast() -> Cast:
    """Everybody; Noor's password is kept as the web process, which knows nothing of the tests' quick way, expects it."""
    cast = make_cast()
    cast.noor.password = PBKDF2PasswordHasher().encode(PASSWORD, "some-salt-for-noor-0123")
    cast.noor.save()
    return cast


def test_people_sign_in_through_it_with_cookies_that_only_travel_encrypted(proxy: Proxy, cast: Cast) -> None:
    page = proxy.client.get(f"{proxy.secure}/accounts/login/")
    assert page.status_code == 200
    assert page.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "Secure" in page.headers["Set-Cookie"]
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found is not None
    given = {"csrfmiddlewaretoken": found[1], "login": cast.noor.email, "password": PASSWORD}
    cookies = {"Cookie": "; ".join(part.split(";")[0] for part in page.headers.get_list("Set-Cookie"))}
    from_here = {"Origin": f"https://{HOST}", "Referer": f"https://{HOST}/accounts/login/"}
    from_elsewhere = {"Origin": "https://elsewhere.example"}
    refused = proxy.client.post(f"{proxy.secure}/accounts/login/", data=given, headers=cookies | from_elsewhere)
    assert refused.status_code == 403
    taken = proxy.client.post(f"{proxy.secure}/accounts/login/", data=given, headers=cookies | from_here)
    assert taken.status_code == 302


def test_pages_are_live_through_it(proxy: Proxy, cast: Cast, client: Client) -> None:
    client.force_login(cast.noor)
    cookie = {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
    with proxy.client.stream("GET", f"{proxy.secure}/console/live/?watch=all", headers=cookie, timeout=15) as stream:
        assert stream.status_code == 200
        assert next(stream.iter_lines()) == "event: tick"  # and not only when the stream ends, in a quarter of an hour


def test_what_is_not_encrypted_is_sent_to_what_is_and_figures_are_not_for_everybody(proxy: Proxy, cast: Cast) -> None:
    sent_on = proxy.client.get(f"{proxy.plain}/status/")
    assert (sent_on.status_code, sent_on.headers["Location"]) == (301, f"https://{HOST}/status/")
    assert proxy.client.get(f"{proxy.secure}/metrics").status_code == 403
    assert proxy.client.get(f"{proxy.secure}/status/now/").status_code == 200
