"""What a customer does on their own page: opens the link of a mail, and says whether it is solved."""

import html
import re
from urllib.parse import urljoin

import httpx

_LINK = re.compile(r'href="([^"]+/my/[^"]+)"')
_ANSWER = re.compile(r'action="([^"]+/answer/[^"]+)"')


class NoSuchPlace(Exception):
    """The mail has no link to the customer's page, or the page does not ask."""


def answer_from(mail: str, *, says: str) -> None:
    """Follow the link of this mail (HTML) to the customer's page and press an answer there: `works` or `broken`.

    Raises `NoSuchPlace`, and `httpx.HTTPError` where the page does not answer.
    """
    link = _LINK.search(mail)
    if link is None:
        raise NoSuchPlace("the mail has no link to the customer's page")
    with httpx.Client(follow_redirects=True, timeout=30) as browser:
        page = browser.get(html.unescape(link[1])).raise_for_status()
        asked = _ANSWER.search(page.text)
        if asked is None:
            raise NoSuchPlace("the customer's page does not ask whether it is solved")
        browser.post(urljoin(str(page.url), html.unescape(asked[1])), data={"says": says}).raise_for_status()
