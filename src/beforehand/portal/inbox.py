"""The inbox on a customer's own page: whether they want one, what they have read, and that it is live while it is open."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from beforehand.customers.actions import add_contact_point, prefer_contact_point, set_contact_point_status
from beforehand.customers.bulk.problems import ChangeRefused
from beforehand.customers.models import ContactPoint, Customer
from beforehand.events.live import Watch, lines
from beforehand.events.places import LogPlace, place_now
from beforehand.kit import clock
from beforehand.outbound.inbox import open_message
from beforehand.portal.my_page import now_for
from beforehand.portal.preferences import NOT_WANTED
from beforehand.portal.reader import behind_page_link, keep_private, reading

LIFE = 15 * 60
"""Seconds after which a stream ends and the page opens a new one: so that a link that ran out stops hearing."""
HERE = "my page"
"""The address of an inbox that the customer asked for here; one that is imported bears the name of their account."""


def live_url(token: str) -> str:
    """Where the page listens, from this moment on."""
    return f"{reverse('portal:my-live', args=[token])}?{urlencode({'after': str(place_now())})}"


@require_safe
@behind_page_link
def live(request: HttpRequest, token: str, customer: Customer) -> HttpResponseBase:
    """The stream of what concerns this customer; it says that something happened, not what."""
    said = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id") or request.GET.get("after") or ""
    return StreamingHttpResponse(
        lines(Watch(customer_ids=frozenset({customer.pk})), after=LogPlace.read(said), seconds=LIFE),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@csrf_exempt  # The page sends no referrer, so its forms have no origin; the signed link is the right to do it.
@require_POST
@behind_page_link
def read(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """Note that a message was opened; to a script, how many are left unread."""
    number = request.POST.get("message", "")
    if number.isdecimal() and len(number) < 19:
        open_message(customer.pk, int(number), now=clock.now())
    if not request.headers.get("HX-Request"):
        return keep_private(redirect("portal:my-page", token=token))
    with reading(request, language=customer.language, zone=customer.time_zone) as reader:
        left = now_for(customer, language=reader.language, brand=reader.brand, now=clock.now()).unread
        return keep_private(reader.part("portal/customers/_unread.html", {"unread": left, "is_part": True}))


@csrf_exempt  # As above.
@require_POST
@behind_page_link
def switch(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """The customer wants messages here, or wants them here no longer."""
    if request.POST.get("want") == "yes":
        add_contact_point(customer.pk, channel=ContactPoint.Channel.INBOX, address=HERE, actor="portal")
        inboxes = ContactPoint.objects.filter(customer=customer, channel=ContactPoint.Channel.INBOX)
        ids = list(inboxes.values_list("pk", flat=True))
        set_contact_point_status(ids, status=ContactPoint.Status.WORKING, reason="", actor="portal")
    else:
        _want_no_more(customer.pk, ContactPoint.Channel.INBOX)
    return keep_private(redirect("portal:my-page", token=token))


@csrf_exempt  # As above.
@require_POST
@behind_page_link
def notify(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """This browser may be notified from now on, before the customer's others; or none of them any more."""
    if request.POST.get("want") == "no":
        _want_no_more(customer.pk, ContactPoint.Channel.PUSH)
        return keep_private(redirect("portal:my-page", token=token))
    try:
        given = request.POST.get("subscription", "")
        point = add_contact_point(customer.pk, channel=ContactPoint.Channel.PUSH, address=given, actor="portal")
    except ChangeRefused:
        return keep_private(HttpResponse(status=400))
    prefer_contact_point(point.pk, actor="portal")
    set_contact_point_status([point.pk], status=ContactPoint.Status.WORKING, reason="", actor="portal")
    return keep_private(HttpResponse(status=204))


def _want_no_more(customer_id: int, channel: ContactPoint.Channel) -> None:
    ids = list(ContactPoint.objects.filter(customer_id=customer_id, channel=channel).values_list("pk", flat=True))
    set_contact_point_status(ids, status=ContactPoint.Status.BLOCKED, reason=NOT_WANTED, actor="portal")


@require_safe
def push_worker(request: HttpRequest) -> HttpResponse:
    """The script that shows notifications: at the top of the site, since it serves the pages below where it lies."""
    response = render(request, "portal/push_worker.js", content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response
