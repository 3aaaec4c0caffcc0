"""Who reads a portal page: in which language and zone, under whose brand; and what every answer to them carries."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from beforehand.accounts.installation import BrandSetting, Installation, installation
from beforehand.customers.models import Customer
from beforehand.kit.links import customer_of_page_link
from beforehand.kit.signing import TokenReason, TokenRefused

LANGUAGE_PARAMETER = "lang"
REMEMBERED = 365 * 24 * 3600
"""Seconds for which a browser remembers the language that was chosen on a page."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One request, the installation that answers it, and the language of the answer."""

    request: HttpRequest
    standard: Installation
    language: str

    @property
    def brand(self) -> BrandSetting:
        return self.standard.brand

    def page(self, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
        """A whole page. A language that was chosen by its address is remembered in a cookie.

        Pages without a form bear no CSRF token and read no session, so that asking for one sets no cookie.
        """
        frame = {
            "brand_name": self.brand.name,
            "brand_phone": self.brand.phone,
            "csrf_token": "",
            "messages": (),
            "portal_languages": self._languages(),
        }
        response = self.part(template, {**frame, **context}, status=status)
        chosen = _supported(self.request.GET.get(LANGUAGE_PARAMETER))
        if chosen:
            response.set_cookie(
                settings.LANGUAGE_COOKIE_NAME,
                chosen,
                max_age=REMEMBERED,
                samesite="Lax",
                secure=settings.SESSION_COOKIE_SECURE,
            )
        return response

    def part(self, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
        """A part of a page, for a script to put in its place."""
        response = render(self.request, template, {"language": self.language, **context}, status=status)
        response.headers["Content-Language"] = self.language
        patch_vary_headers(response, ["Accept-Language", "Cookie"])
        return response

    def _languages(self) -> list[dict[str, Any]]:
        rows = []
        for code, _name in settings.LANGUAGES:
            query = self.request.GET.copy()
            query[LANGUAGE_PARAMETER] = code
            rows.append({**translation.get_language_info(code), "href": f"?{query.urlencode()}"})
        return rows


@contextmanager
def reading(request: HttpRequest, *, language: str = "", zone: str = "") -> Iterator[Reader]:
    """Inside the block, texts and times are the reader's.

    Language: the address (`?lang=`), what this browser chose before, the reader's own `language` where we know who
    reads, the browser's, the brand's. Zone: the reader's own, the browser's (from its cookie), the brand's.
    """
    standard = installation()
    brand = standard.brand
    spoken = _language(request, own=language, default=brand.language)
    if not zone and not request.COOKIES.get("zone"):
        zone = brand.time_zone
    with translation.override(spoken), timezone.override(ZoneInfo(zone) if zone else timezone.get_current_timezone()):
        yield Reader(request, standard, spoken)


def _language(request: HttpRequest, *, own: str, default: str) -> str:
    chosen = _supported(request.GET.get(LANGUAGE_PARAMETER)) or _supported(
        request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME)
    )
    if chosen:
        return chosen
    if own:
        return _supported(own) or _supported(default) or settings.LANGUAGE_CODE
    if request.headers.get("Accept-Language"):
        return translation.get_language_from_request(request)
    return _supported(default) or settings.LANGUAGE_CODE


def _supported(code: str | None) -> str | None:
    """The language of ours that this code asks for ("nl-BE" asks for "nl"); None if we have none."""
    try:
        return translation.get_supported_language_variant(code or "")
    except LookupError:
        return None


def served_customer(customer_id: int) -> Customer:
    """The customer whom a valid link names; one who is gone is refused as a forged link is."""
    customer = Customer.objects.served().filter(pk=customer_id).first()
    if customer is None:
        raise TokenRefused(TokenReason.FORGED)
    return customer


def behind_page_link(
    view: Callable[Concatenate[HttpRequest, str, Customer, ...], HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """A view that the link to a customer's own page opens: it is handed that customer, and nobody else comes through."""

    @wraps(view)
    def opened(request: HttpRequest, token: str, **named: Any) -> HttpResponseBase:
        try:
            customer = served_customer(customer_of_page_link(token))
        except TokenRefused as refused:
            return refused_link(request, refused)
        return view(request, token, customer, **named)

    return opened


def keep_private(response: HttpResponse) -> HttpResponse:
    """An answer behind a signed link: stored nowhere, found by no search, its address told to nobody.

    A browser that obeys `no-referrer` posts with `Origin: null`, which Django's CSRF check refuses: no form of these
    pages may need that check.
    """
    response.headers["Cache-Control"] = "no-store, private"
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def refused_link(request: HttpRequest, refused: TokenRefused | None = None) -> HttpResponse:
    """One calm page for a link that opens nothing: 410 if it was ours and is too old, else 404.

    A forged link, one for another purpose, and one of a customer who is gone look the same.
    """
    is_expired = refused is not None and refused.reason is TokenReason.EXPIRED
    with reading(request) as reader:
        page = reader.page("portal/link_refused.html", {"is_expired": is_expired}, status=410 if is_expired else 404)
    return keep_private(page)
