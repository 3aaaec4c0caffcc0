"""Links for customers: each opens one thing, for one customer, until a time."""

from datetime import datetime, timedelta

from django.conf import settings

from beforehand.kit.signing import sign, verify

MY_PAGE = "my-page"
UNSUBSCRIBE = "unsubscribe"
LASTS = timedelta(days=30)


def page_link(customer_id: int, *, now: datetime) -> str:
    """The address of a customer's own page; it opens that page and nothing else, for 30 days."""
    return f"{settings.BASE_URL}/my/{sign(MY_PAGE, str(customer_id), until=now + LASTS)}/"


def customer_of_page_link(token: str) -> int:
    """Whose page a token opens; raises `TokenRefused`."""
    return int(verify(MY_PAGE, token))


def unsubscribe_link(customer_id: int, message_class: str, *, now: datetime) -> str:
    """The address that takes back the leave for one class of messages, by POST without sign-in (RFC 8058); for a year."""
    token = sign(UNSUBSCRIBE, f"{customer_id}:{message_class}", until=now + timedelta(days=365))
    return f"{settings.BASE_URL}/unsubscribe/{token}/"


def unsubscription(token: str) -> tuple[int, str]:
    """Customer and message class that an unsubscribe token names; raises `TokenRefused`."""
    customer_id, _, message_class = verify(UNSUBSCRIBE, token).partition(":")
    return int(customer_id), message_class
