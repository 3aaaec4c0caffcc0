"""The stream of server-sent events that a page keeps open, so that it changes without being loaded anew."""

import re

from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from beforehand.console.access import PageRequest, allowed
from beforehand.events.live import Watch, lines
from beforehand.events.places import LogPlace, place_now

LIFE = 15 * 60
"""Seconds after which a stream ends and the page opens a new one: so that whoever was signed out stops hearing."""
SUBJECT = re.compile(r"(?:incident|playbook):[\w-]{1,80}")


def live_url(watch: str) -> str:
    """Where a page listens, from this moment on: "all", "incident:42", "customer:7"."""
    return f"{reverse('console:live')}?{urlencode({'watch': watch, 'after': str(place_now())})}"


def watch_of(text: str) -> Watch:
    """What this names; a name of nothing hears nothing."""
    kind, _colon, rest = text.partition(":")
    if text == "all":
        return Watch(everything=True)
    if kind == "customer" and rest.isdecimal() and len(rest) < 19:
        return Watch(customer_ids=frozenset({int(rest)}))
    return Watch(subjects=frozenset({text})) if SUBJECT.fullmatch(text) else Watch()


@allowed()
def live(request: PageRequest) -> HttpResponseBase:
    """The stream. A browser that reconnects says where it was, in a header or in the address."""
    said = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id") or request.GET.get("after") or ""
    return StreamingHttpResponse(
        lines(watch_of(request.GET.get("watch", "")), after=LogPlace.read(said), seconds=LIFE),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
