"""Contact points on the web: the https address of a customer's own system, and a browser's push subscription."""

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.conf import settings

from beforehand.customers.bulk.checks import refuse_unfit
from beforehand.customers.bulk.problems import Refused, RowReason, shown

LONGEST = 2_000


def web_address(value: Any) -> str:
    """An https address without user, password or fragment; http only to a host of the setting `PRIVATE_HOSTS`."""
    text = value if isinstance(value, str) else ""
    refuse_unfit(text)
    try:
        place = urlsplit(text)
        host, port = place.hostname or "", place.port
    except ValueError:
        host, port = "", None
    is_own = host in settings.PRIVATE_HOSTS
    fits = host and text.isascii() and " " not in text and len(text) <= LONGEST and port != 0
    if (
        not fits
        or place.username is not None
        or place.fragment
        or place.scheme not in ("https", "http" if is_own else "")
    ):
        raise Refused(
            RowReason.NOT_A_WEB_ADDRESS, f"{shown(value)} is not an address such as https://example.com/hook."
        )
    return text


def subscription(value: Any) -> str:
    """A push subscription (W3C Push API): the service's address and the browser's keys; nothing else is kept."""
    try:
        given = orjson.loads(value) if isinstance(value, str) and len(value) <= LONGEST else value
        keys = {name: str(given["keys"][name]).rstrip("=") for name in ("p256dh", "auth")}
        endpoint = given["endpoint"]
        sizes = [len(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) for text in keys.values()]
    except (ValueError, KeyError, TypeError, binascii.Error):
        sizes, keys, endpoint = [], {}, None
    if sizes != [65, 16]:
        raise Refused(
            RowReason.NOT_A_SUBSCRIPTION, "This is not what a browser's push subscription looks like as JSON."
        )
    return orjson.dumps({"endpoint": web_address(endpoint), "keys": keys}, option=orjson.OPT_SORT_KEYS).decode()


CONTACTS = {"webhook": web_address, "push": subscription}
"""Check by channel, which is also the field's name."""
