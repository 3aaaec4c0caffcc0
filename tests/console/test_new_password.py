"""Who forgot the password gets a link by mail, in their language, and chooses another; a stranger learns nothing."""

import re
from typing import Any

import pytest
from django.test import Client

from beforehand.accounts.models import User
from tests.cast import PASSWORD, Cast
from tests.mailbox import Mailbox, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

FORGOT = "/accounts/password/reset/"
NEW = "another long sentence for Ester"


@pytest.fixture
def mailbox(settings: Any) -> Any:
    with Mailbox() as mailbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
        yield mailbox


def test_the_link_in_the_mail_leads_to_a_new_password(cast: Cast, client: Client, mailbox: Mailbox) -> None:
    answer = client.post(FORGOT, {"email": cast.ester.email}, headers={"accept-language": "nl", "host": "localhost"})
    assert answer.status_code == 302
    [mail] = mailbox.mails_to(cast.ester.email)
    [link] = re.findall(r"http://\S+", text_of(mail))
    assert link.startswith("http://testserver.example/accounts/password/reset/key/")  # ours, whatever Host was named
    page = client.get(link.removeprefix("http://testserver.example"), follow=True)
    form = page.redirect_chain[-1][0]
    assert client.post(form, {"password1": NEW, "password2": NEW}).status_code == 302
    ester = User.objects.get(email=cast.ester.email)
    assert (ester.check_password(NEW), ester.check_password(PASSWORD)) == (True, False)
    assert "password1" not in client.get(link.removeprefix("http://testserver.example"), follow=True).content.decode()


def test_an_address_that_nobody_here_has_gets_no_mail_and_the_same_answer(
    cast: Cast, client: Client, mailbox: Mailbox
) -> None:
    known = client.post(FORGOT, {"email": cast.ester.email})
    unknown = client.post(FORGOT, {"email": "zeno@stranger.example"})
    assert (unknown.status_code, unknown["Location"]) == (known.status_code, known["Location"])
    assert mailbox.mails_to("zeno@stranger.example") == []
