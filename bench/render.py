"""How fast mails are made: a compiled skeleton filled per recipient, beside the standard library building the same mail.

    .venv/bin/python bench/render.py [--mails 40000] [--rounds 3]

One core. Prints mails a second and the ratio, lowest and highest of the rounds, and the size of the mail.
"""

import argparse
import email.policy
import json
import os
import sys
import time
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "beforehand.config.settings")

import django

django.setup()

from beforehand.engine.languages import direction  # noqa: E402 (settings first)
from beforehand.outbound.templates import Brand, MailSkeleton, TemplateSource, compile_mail  # noqa: E402

SOURCE = """---
subject: Outage in {{ area }}: next news by {{ next_update_at }}
---
{{ customer.salutation }},

There is an outage in our network. It affects you.

- Affected: {{ holding }}
- Since: 12:30

**What are we doing?** Our engineers are on their way.

**What can you do?** You do not need to do anything.

You can always see the latest state on [your page]({{ my_page_url }}).

**Is this message really from us?** Type the code **{{ code }}** on https://noorderlicht.example/check.
"""
SLOTS = ["customer.salutation", "holding", "my_page_url", "code", "preferences_url"]
BRAND = Brand("Noorderlicht", "news@noorderlicht.example", phone="+31 20 123 4567")
DATE = "Tue, 01 Sep 2026 10:00:00 +0000"


def skeleton() -> MailSkeleton:
    facts = {"area": "Utrecht Noord", "next_update_at": "13:30"}
    source = TemplateSource("bench", SOURCE)
    return compile_mail(source, language="en", direction=direction("en"), facts=facts, slots=SLOTS, brand=BRAND)


def recipients(count: int) -> list[tuple[str, str, dict[str, str]]]:
    names = ["Dana Smith", "Bram van Dijk", "عائشة الحربي", "चित्रा शर्मा", "Zoë O'Neil"]
    return [
        (
            f"c{number}@mail.example",
            names[number % 5],
            {
                "customer.salutation": f"Dear {names[number % 5]}",
                "holding": "Fibre 1000 & modem",
                "my_page_url": f"https://my.noorderlicht.example/p/{number:032x}.{number * 7919:043x}",
                "code": f"{number % 10_000:04d}-ABCD",
                "preferences_url": f"https://my.noorderlicht.example/v/{number:032x}.{number * 6007:043x}",
            },
        )
        for number in range(count)
    ]


def ours(mail: MailSkeleton, people: list[tuple[str, str, dict[str, str]]]) -> tuple[float, int]:
    started, size = time.perf_counter(), 0
    for address, name, values in people:
        size += len(
            mail.fill(
                values,
                to=address,
                to_name=name,
                message_id="<b7.12345.abcdefghijklmnopqrstuvwxyz@noorderlicht.example>",
                reply_to="reply+b7.12345.abcdefghijklmnopqrstuvwxyz@noorderlicht.example",
                date=DATE,
            )
        )
    return time.perf_counter() - started, size // len(people)


def theirs(mail: MailSkeleton, people: list[tuple[str, str, dict[str, str]]]) -> float:
    """The texts are given; only the building of the message is measured."""
    rendered = mail.preview(people[0][2])
    started = time.perf_counter()
    for address, name, _ in people:
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = Address(BRAND.name, addr_spec=BRAND.sender)
        message["To"] = Address(name, addr_spec=address)
        message["Subject"] = rendered.subject
        message["Date"] = DATE
        message["Message-ID"] = "<b7.12345.abcdefghijklmnopqrstuvwxyz@noorderlicht.example>"
        message["Reply-To"] = "reply+b7.12345.abcdefghijklmnopqrstuvwxyz@noorderlicht.example"
        message["Auto-Submitted"] = "auto-generated"
        message["Content-Language"] = "en"
        message.set_content(rendered.text, cte="quoted-printable")
        message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
        message.as_bytes()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    mail, people = skeleton(), recipients(args.mails)
    few = people[: max(1, args.mails // 100)]
    rates: dict[str, list[float]] = {"skeleton": [], "email.message": []}
    size = 0
    for _ in range(args.rounds):
        seconds, size = ours(mail, people)
        rates["skeleton"].append(len(people) / seconds)
        rates["email.message"].append(len(few) / theirs(mail, few))
    ratios = [mine / other for mine, other in zip(*rates.values(), strict=True)]
    report: dict[str, object] = {"mails": args.mails, "bytes": size, "cores": 1}
    report |= {name: {"per_s_min": round(min(found)), "per_s_max": round(max(found))} for name, found in rates.items()}
    report["skeleton/email.message"] = {"min": round(min(ratios), 1), "max": round(max(ratios), 1)}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
