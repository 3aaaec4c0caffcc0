"""Pages behind a signed link: a customer's own page, and taking back the leave for a class of messages."""

import hashlib
from zoneinfo import ZoneInfo

from babel.dates import get_timezone_location
from django.conf import settings
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from beforehand.customers.actions import change_customer, record_consents
from beforehand.customers.models import ContactPoint, Customer
from beforehand.customers.queries import consents_in_force
from beforehand.engine.message_classes import MessageClass
from beforehand.kit import clock
from beforehand.kit.links import customer_of_page_link, unsubscription
from beforehand.kit.signing import TokenReason, TokenRefused
from beforehand.kit.web.times import babel_locale
from beforehand.outbound.push import public_key
from beforehand.portal.inbox import live_url
from beforehand.portal.my_page import Now, known_of, now_for
from beforehand.portal.preferences import (
    LanguageForm,
    QuietHoursForm,
    RhythmForm,
    answer_consents,
    chosen_point,
    consent_questions,
    use_address,
)
from beforehand.portal.reader import Reader, behind_page_link, keep_private, reading, refused_link, served_customer

STOP_POLLING = 286
"""htmx: put this in its place and ask no more."""

ONE_CLICK = "One-Click"
"""What a mail program posts as `List-Unsubscribe` (RFC 8058 §3.1)."""


@require_safe
@behind_page_link
def my_page(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """What is wrong for this customer, what we told them and when they hear next, what we know. Writes nothing."""
    return _page(request, token, customer)


def _page(request: HttpRequest, token: str, customer: Customer, *, quiet: QuietHoursForm | None = None) -> HttpResponse:
    """The customer's page; `quiet` holds what they typed and could not be."""
    with reading(request, language=customer.language, zone=customer.time_zone) as reader:
        known = known_of(customer, now=clock.now())
        place = get_timezone_location(ZoneInfo(customer.time_zone), locale=babel_locale(), return_city=True)
        context = {
            **_changing(reader, customer, token),
            "customer": customer,
            "form": RhythmForm(initial={"rhythm": customer.rhythm}),
            "language_form": LanguageForm(customer),
            "quiet_form": quiet or QuietHoursForm(initial=model_to_dict(customer, ["quiet_from", "quiet_until"])),
            "quiet_usual": reader.standard,
            "consents": consent_questions(customer, known.channels),
            "known": known,
            "push_key": public_key(settings.PUSH_KEY) if settings.PUSH_KEY else "",
            "live_url": live_url(token) if known.has_inbox or known.is_notified else "",
            "zone": customer.time_zone,
            "zone_place": place,
            "large_print": "large_print" in customer.access_needs,
        }
        return keep_private(reader.page("portal/customers/my_page.html", context))


@require_safe
def no_page(request: HttpRequest) -> HttpResponse:
    """A link whose key was left out."""
    return refused_link(request)


@require_safe
def my_now(request: HttpRequest, token: str) -> HttpResponse:
    """The part of the page that changes, for the page that is open: 204 while nothing did."""
    try:
        customer = served_customer(customer_of_page_link(token))
    except TokenRefused as refused:
        if refused.reason is not TokenReason.EXPIRED or not request.headers.get("HX-Request"):
            return refused_link(request, refused)
        with reading(request) as reader:
            return keep_private(reader.part("portal/customers/_expired.html", {}, status=STOP_POLLING))
    with reading(request, language=customer.language, zone=customer.time_zone) as reader:
        context = _changing(reader, customer, token)
        if context["seen"] == request.GET.get("seen"):
            return keep_private(HttpResponse(status=204))
        return keep_private(reader.part("portal/customers/_now.html", context))


@csrf_exempt  # The signed link is the right to do it; the page bears no cookie that another site could borrow.
@require_POST
@behind_page_link
def choose_rhythm(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """The customer says what they want to hear of a problem that lasts; back to their page, which says what holds now."""
    form = RhythmForm(request.POST)
    if form.is_valid() and form.cleaned_data["rhythm"] != customer.rhythm:
        change_customer(customer.pk, changes=form.cleaned_data, actor="customer")
    return _back(token, "news-head")


@csrf_exempt  # As above.
@require_POST
@behind_page_link
def choose_language(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """The customer says in which language we write; the page follows, whatever was chosen on this browser before."""
    form = LanguageForm(customer, request.POST)
    answer = _back(token, "writing-head")
    if form.is_valid() and form.has_changed():
        change_customer(customer.pk, changes=form.cleaned_data, actor="customer")
        answer.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")
    return answer


@csrf_exempt  # As above.
@require_POST
@behind_page_link
def choose_quiet_hours(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """The customer says when to leave them in peace; half an answer is shown again with what is missing."""
    with reading(request, language=customer.language):
        form = QuietHoursForm(request.POST)
        if not form.is_valid():
            return _page(request, token, customer, quiet=form)
    change_customer(customer.pk, changes=form.changes(), actor="customer")
    return _back(token, "writing-head")


@csrf_exempt  # As above.
@require_POST
@behind_page_link
def choose_address(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """The customer says which address comes first, or that one is to be used no more; the button names it."""
    point = chosen_point(customer, request.POST.get("address", ""))
    if point is None:
        return refused_link(request)
    use_address(point, how=request.POST.get("use", ""))
    return _back(token, "known-head")


@csrf_exempt  # As above.
@require_POST
@behind_page_link
def choose_consents(request: HttpRequest, token: str, customer: Customer) -> HttpResponse:
    """The customer says what else we may write to them; stored are the words in the language that they read."""
    with reading(request, language=customer.language):
        answer_consents(customer, shown=request.POST.getlist("shown"), ticked=request.POST.getlist("allow"))
    return _back(token, "consents-head")


def _back(token: str, place: str) -> HttpResponse:
    """To the page, which says what holds now."""
    return keep_private(HttpResponseRedirect(f"{reverse('portal:my-page', args=[token])}#{place}"))


def _changing(reader: Reader, customer: Customer, token: str) -> dict[str, object]:
    found: Now = now_for(customer, language=reader.language, brand=reader.brand, now=clock.now())
    seen = hashlib.sha256(repr((reader.language, found)).encode()).hexdigest()[:16]
    return {"now": found, "seen": seen, "token": token}


@csrf_exempt  # RFC 8058: a mail program posts without cookies; the signed link is the right to do it.
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks and writes nothing, since mail scanners open every link; POST, also a mail program's, takes it back."""
    try:
        customer_id, class_name = unsubscription(token)
        message_class = MessageClass(class_name)
        customer = served_customer(customer_id)
    except TokenRefused as refused:
        return refused_link(request, refused)
    except ValueError:
        return refused_link(request)
    is_one_click = request.method == "POST" and request.POST.get("List-Unsubscribe") == ONE_CLICK
    with reading(request, language=customer.language, zone=customer.time_zone) as reader:
        wording = _wording(message_class)
        if request.method == "POST":
            _take_back(customer, message_class, wording=wording, how="one-click" if is_one_click else "page")
        context = {"wording": wording, "is_done": request.method == "POST"}
        return keep_private(reader.page("portal/customers/unsubscribe.html", context))


def _take_back(customer: Customer, message_class: MessageClass, *, wording: str, how: str) -> None:
    """Record the objection, once: who has objected already has nothing more to say."""
    in_force = consents_in_force([customer.pk]).get(customer.pk, {})
    if in_force.get((message_class.value, ContactPoint.Channel.EMAIL.value)) is False:
        return
    record_consents(
        [
            {
                "customer": customer.external_id,
                "message_class": message_class.value,
                "channel": ContactPoint.Channel.EMAIL.value,
                "given": False,
                "wording": wording,
                "how": f"unsubscribe link ({how})",
                "asked_by": "customer",
                "answered_at": clock.now().isoformat(),
            }
        ],
        actor="portal",
        source="unsubscribe",
    )


def _wording(message_class: MessageClass) -> str:
    """What the customer says by pressing: the text that is shown, and stored."""
    match message_class:
        case MessageClass.SURVEY:
            return _("I no longer want e-mails that ask how you did.")
        case MessageClass.MARKETING:
            return _("I no longer want e-mails with offers.")
        case MessageClass.CARE:
            return _("I no longer want e-mails with advice about what I have from you.")
        case _:
            return _("I no longer want e-mails of this kind.")
