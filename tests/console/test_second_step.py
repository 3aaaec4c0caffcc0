"""The second step at sign-in, and the company's own sign-in, with a provider that speaks the real protocol over HTTP."""

import re
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import orjson
import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from beforehand.accounts.actions import create_user, set_setting
from beforehand.accounts.models import User
from beforehand.events.models import Event
from tests.cast import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.database]
SIGN_IN, ACTIVATE = "/accounts/login/", "/accounts/second-step/totp/activate/"


@pytest.fixture
def ester() -> User:
    return create_user(email="ester@company.example", name="Ester", role="agent", password=PASSWORD, actor="test")


def sign_in(client: Client, password: str = PASSWORD) -> Any:
    return client.post(SIGN_IN, {"login": "ester@company.example", "password": password})


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))


def activation(client: Client) -> str:
    """The page to set it up on, for which the password is asked once more."""
    asked = client.get(ACTIVATE)
    if asked.status_code == 302:
        assert asked["Location"].startswith("/accounts/reauthenticate/")
        assert client.post(asked["Location"], {"password": "not hers"}).status_code == 200
        asked = client.post(asked["Location"], {"password": PASSWORD}, follow=True)
    return str(asked.content.decode())


def set_up(client: Client) -> list[str]:
    """Sets the second step up as a person does; the recovery codes that are shown."""
    secret = re.search(r"\b[A-Z2-7]{32}\b", activation(client))
    assert secret is not None
    answer = client.post(ACTIVATE, {"code": code_of(secret[0])}, follow=True)
    return re.findall(r"\b[0-9]{8}\b", answer.content.decode())


def types() -> list[str]:
    return list(Event.objects.filter(type__startswith="user.").order_by("id").values_list("type", flat=True))


def test_with_a_second_step_a_password_alone_opens_nothing(client: Client, ester: User) -> None:
    sign_in(client)
    codes = set_up(client)
    assert len(codes) == 10
    other = Client()
    answer = sign_in(other)
    assert answer["Location"].startswith("/accounts/second-step/authenticate/")
    assert other.get("/console/").status_code == 302
    refused = other.post("/accounts/second-step/authenticate/", {"code": "000000"})
    assert refused.status_code == 200
    other.post("/accounts/second-step/authenticate/", {"code": codes[0]})
    assert other.get("/console/").status_code == 200
    again = Client()
    sign_in(again)
    assert again.post("/accounts/second-step/authenticate/", {"code": codes[0]}).status_code == 200  # used up
    assert again.get("/console/").status_code == 302


def test_what_makes_the_codes_is_not_readable_in_the_database(client: Client, ester: User) -> None:
    sign_in(client)
    set_up(client)
    kept = Authenticator.objects.get(type="totp").data["secret"]
    assert re.fullmatch(r"[A-Z2-7]{32}", kept) is None


def test_where_it_is_required_nobody_goes_on_without_one(client: Client, ester: User) -> None:
    set_setting(key="sign_in.second_step", value=True, actor="test")
    assert sign_in(client)["Location"] == ACTIVATE
    assert client.get("/console/")["Location"] == ACTIVATE
    set_up(client)
    assert client.get("/console/").status_code == 200


def test_sign_ins_and_refusals_are_in_the_log_without_what_was_typed(client: Client, ester: User) -> None:
    sign_in(client, "wrong horse battery")
    client.post(SIGN_IN, {"login": "nobody@company.example", "password": "a password in the wrong field"})
    sign_in(client)
    client.post("/accounts/logout/")
    assert types() == ["user.created", "user.sign_in_refused", "user.signed_in", "user.signed_out"]
    assert "horse" not in str(list(Event.objects.values_list("data", flat=True)))


def test_who_sets_a_second_step_up_or_takes_it_away_stands_in_the_log(
    client: Client, ester: User, django_capture_on_commit_callbacks: Any
) -> None:
    sign_in(client)
    with django_capture_on_commit_callbacks(execute=True):
        set_up(client)
    client.post("/accounts/second-step/totp/deactivate/")
    found = Event.objects.filter(type="user.mfa_changed").order_by("id").values_list("actor", "subject", "data")
    own = f"user:{ester.pk}"
    assert list(found) == [(own, own, {"on": True}), (own, own, {"on": False})]


def test_every_page_of_the_second_step_is_drawn_in_our_own_frame(client: Client, ester: User) -> None:
    sign_in(client)
    assert b'class="brand"' in client.get("/accounts/second-step/").content
    assert 'class="brand"' in activation(client)
    set_up(client)
    for where in ("", "totp/deactivate/", "recovery-codes/", "recovery-codes/generate/"):
        assert b'class="brand"' in client.get(f"/accounts/second-step/{where}").content, where
    client.post("/accounts/second-step/totp/deactivate/")
    assert not Authenticator.objects.exists()


# --- the company's own sign-in ------------------------------------------------------------------------------------------


class Provider:
    """An OpenID Connect provider: discovery, authorization code with PKCE, signed tokens, userinfo."""

    client_id, secret = "beforehand", "a client secret"

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: set[str] = set()
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.token(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        asked = urlsplit(handler.path)
        if asked.path == "/.well-known/openid-configuration":
            self.answer(
                handler,
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "userinfo_endpoint": f"{self.url}/userinfo",
                    "jwks_uri": f"{self.url}/keys",
                    "token_endpoint_auth_methods_supported": ["client_secret_post"],
                },
            )
        elif asked.path == "/keys":
            key = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            self.answer(handler, {"keys": [{**key, "kid": "1", "use": "sig"}]})
        elif asked.path == "/authorize":
            given = {name: values[0] for name, values in parse_qs(asked.query).items()}
            assert given["client_id"] == self.client_id
            assert "openid" in given["scope"]
            code = f"code-{len(self.codes)}"
            self.codes[code] = given
            handler.send_response(302)
            handler.send_header("Location", f"{given['redirect_uri']}?code={code}&state={given['state']}")
            handler.end_headers()
        else:
            is_known = handler.headers["Authorization"].removeprefix("Bearer ") in self.tokens
            self.answer(handler, self.claims if is_known else {"error": "invalid_token"}, 200 if is_known else 401)

    def token(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        started = self.codes.pop(given["code"], None)
        is_ours = (given["client_id"], given["client_secret"]) == (self.client_id, self.secret)
        if started is None or not is_ours or not given.get("code_verifier") or not started.get("code_challenge"):
            self.answer(handler, {"error": "invalid_grant"}, 400)
            return
        now = int(time.time())
        claims = {**self.claims, "iss": self.url, "aud": self.client_id, "iat": now, "exp": now + 60}
        signed = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "1"})
        self.tokens.add("access")
        self.answer(handler, {"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": signed})

    def answer(self, handler: BaseHTTPRequestHandler, value: object, status: int = 200) -> None:
        body = orjson.dumps(value)
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    provider = Provider()
    app = {
        "provider_id": "company",
        "name": "Noord",
        "client_id": Provider.client_id,
        "secret": Provider.secret,
        "settings": {"server_url": provider.url, "oauth_pkce_enabled": True},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    settings.OIDC_NAME, settings.OIDC_DOMAINS, settings.OIDC_CLAIM = "Noord", [], ""
    try:
        yield provider
    finally:
        provider.server.shutdown()
        provider.server.server_close()


def come(client: Client, provider: Provider, **claims: Any) -> Any:
    """From our sign-in page to the provider, and back with what it says of somebody."""
    provider.claims = {
        "sub": "s-1",
        "email": "ester@company.example",
        "email_verified": True,
        "name": "Ester",
        **claims,
    }
    assert "Noord" in client.get(SIGN_IN).content.decode()
    there = client.get("/accounts/oidc/company/login/")["Location"]
    back = urlsplit(httpx.get(there).headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def test_who_was_invited_comes_in_by_the_companys_sign_in(client: Client, ester: User, provider: Provider) -> None:
    assert come(client, provider)["Location"] == "/console/"
    assert client.get("/console/").status_code == 200
    signed_in = Event.objects.get(type="user.signed_in")
    assert (signed_in.actor, signed_in.data["how"]) == (f"user:{ester.pk}", "oidc")
    # And again, by the provider's own number, whatever their address is by then.
    assert come(Client(), provider, email="e.new@company.example")["Location"] == "/console/"


def test_nobody_else_comes_in_unless_their_domain_is_let_in(client: Client, provider: Provider, settings: Any) -> None:
    answer = come(client, provider, email="zeno@stranger.example")
    assert answer.status_code == 403
    assert "nobody has invited you" in answer.content.decode()
    assert not User.objects.exists()
    settings.OIDC_DOMAINS = ["company.example"]
    assert come(Client(), provider, sub="s-2", email="zeno@stranger.example").status_code == 403
    assert come(Client(), provider, sub="s-3", email="Nia@Company.example", name="Nia")["Location"] == "/console/"
    nia = User.objects.get()
    assert (nia.email, nia.name, nia.role, nia.has_usable_password()) == ("nia@company.example", "Nia", "viewer", False)


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email": ""}, {"email_verified": None}])
def test_an_address_that_the_provider_does_not_vouch_for_opens_nobodys_account(
    client: Client, ester: User, provider: Provider, claims: dict[str, Any]
) -> None:
    assert come(client, provider, **claims).status_code == 403
    assert client.get("/console/").status_code == 302


def test_a_claim_that_is_asked_for_has_to_be_there_each_time(
    client: Client, ester: User, provider: Provider, settings: Any
) -> None:
    settings.OIDC_CLAIM = "groups=service"
    assert come(client, provider, groups=["sales"]).status_code == 403
    assert come(client, provider, groups=["sales", "service"])["Location"] == "/console/"
    assert come(Client(), provider, groups=[]).status_code == 403


def test_who_is_no_longer_employed_does_not_come_in(client: Client, ester: User, provider: Provider) -> None:
    come(client, provider)
    User.objects.update(is_active=False)
    other = Client()
    come(other, provider)
    assert other.get("/console/").status_code in (302, 403)


def test_a_forged_return_is_refused_with_a_page_that_says_so(client: Client, ester: User, provider: Provider) -> None:
    client.get("/accounts/oidc/company/login/")
    answer = client.get("/accounts/oidc/company/login/callback/?code=stolen&state=forged")
    assert answer.status_code == 403
    assert "did not let you through" in answer.content.decode()
    assert client.get("/console/").status_code == 302


def test_without_a_provider_the_sign_in_page_names_none(client: Client, db: None) -> None:
    assert "oidc" not in client.get(SIGN_IN).content.decode()
    assert client.get("/accounts/oidc/company/login/").status_code == 404
