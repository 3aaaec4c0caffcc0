"""The doors for the SMS gateway: Twilio's status callback and its messages in, both verified by its signature.

https://www.twilio.com/docs/usage/security: the signature is base64(HMAC-SHA1(token, URL and every field, sorted by name)).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from functools import wraps
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from beforehand.conversations.actions import take_in
from beforehand.kit import clock
from beforehand.outbound.media import SMS
from beforehand.outbound.reports import take_report

_ATTEMPT = re.compile(r"(\d{1,2})-(\d{1,18})-(\d{1,4})")
_WORD = re.compile(r"[a-z]{1,20}")
_CODE = re.compile(r"\d{0,6}")
_SID = re.compile(r"[A-Za-z0-9]{1,64}")
NO_ANSWER = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""TwiML that says nothing: what is answered is answered by a person."""

View = Callable[[HttpRequest], HttpResponse]


def signature(token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    """What the gateway signs a report to `url` with."""
    said = url + "".join(name + value for name, value in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode()


def from_gateway(view: View) -> View:
    """Opens a door to the gateway alone; to nobody where there is none."""

    @csrf_exempt
    @require_POST
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        gateway = settings.SMS_GATEWAY
        if gateway is None:
            return HttpResponse(status=404)
        url = f"{settings.BASE_URL}{request.get_full_path()}"
        given = request.headers.get("X-Twilio-Signature", "")
        if not hmac.compare_digest(given.encode(), signature(gateway.token, url, _fields(request)).encode()):
            return _text("The signature is not the gateway's.", status=403)
        return view(request)

    return guarded


def _fields(request: HttpRequest) -> list[tuple[str, str]]:
    return [(name, value) for name, values in request.POST.lists() for value in values]


@from_gateway
def sms_status(request: HttpRequest) -> HttpResponse:
    """Note what became of a text message. 204 also for what is no news: a gateway would only say it again."""
    attempt = _ATTEMPT.fullmatch(request.GET.get("attempt", ""))
    status, code = request.POST.get("MessageStatus", ""), request.POST.get("ErrorCode", "")
    if attempt is None or _WORD.fullmatch(status) is None or _CODE.fullmatch(code) is None:
        return _text("This is no report that we know.", status=400)
    bucket, message, number = (int(part) for part in attempt.groups())
    take_report((bucket, message, min(number, 32767)), status=status, code=code, now=clock.now())
    return HttpResponse(status=204)


@from_gateway
def sms_message(request: HttpRequest) -> HttpResponse:
    """Take in what a customer wrote; the same message again changes nothing."""
    sid = request.POST.get("MessageSid", "")
    if _SID.fullmatch(sid) is None or not request.POST.get("From") or "Body" not in request.POST:
        return _text("This is no message that we know: it needs MessageSid, From and Body.", status=400)
    take_in(channel=SMS, name=sid, raw=urlencode(_fields(request)).encode(), now=clock.now())
    return HttpResponse(NO_ANSWER, content_type="text/xml")


def _text(words: str, *, status: int) -> HttpResponse:
    return HttpResponse(words, status=status, content_type="text/plain")
