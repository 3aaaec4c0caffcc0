"""How well is what comes in understood? Real bounces, complaints, automatic answers, answers with quotations, broken mail.

    BEFOREHAND_BENCH_DATA=/path/to/data .venv/bin/python -m bench.mail_in [--misses]

Reads `bounces_sisimai` (github.com/sisimai/set-of-emails, BSD-2-Clause; it has more odd mailers than a usual mailbox),
`reply_parsing` and `mime_fixtures`. Which bounces are hard is what that set's authors expect of their own parser.
"""

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from beforehand.engine.incoming.bounces import BounceReason, bounce_of
from beforehand.engine.incoming.kinds import MailKind, kind_of
from beforehand.engine.incoming.mime import Mail, read_mail
from beforehand.engine.incoming.replies import newly_written

HARD = {
    "lhost-postfix": "02 04 05 06 14 16 30 31 32 33 36 46 57 76",
    "lhost-sendmail": "01 03 14 15 17 22 24 25 26 28 32 37 41 42 45 46 47 49 52 57",
    "lhost-exim": "02 05 30 31 37 59 61",
    "rfc3464": "06 10 26 51 58 63 65",
    "lhost-dragonfly": "04 09 10 11 16 22 24 26",
    "lhost-qmail": "01 02 11 12 13 16 18 21 23",
    "lhost-amazonses": "05 06 09 10 18",
    "lhost-gmail": "01 18",
    "rhost-gsuite": "01 02 09 14",
    "lhost-yahoo": "01 03 05 07 09 10",
    "lhost-opensmtpd": "01 03 10 12",
    "lhost-office365": "01 02 07 09 10 11 13",
    "lhost-googlegroups": "",
    "lhost-messagingserver": "01 05 09 10",
    "rhost-franceptt": "01 02",
    "lhost-mailru": "01 04 05 06 08",
    "rhost-google": "02",
    "lhost-x2": "",
    "lhost-v5sendmail": "02 03 04",
    "lhost-outlook": "02 03 08",
    "lhost-ezweb": "04 07",
    "lhost-exchange2007": "01 06 07",
    "lhost-exchange2003": "01 02 03 05 07",
    "lhost-amazonworkmail": "01",
    "lhost-receivingses": "01 02",
}
"""The families of the set that have a label here; the others are looked at for recognition alone."""
SEVERAL = {"lhost-postfix-13", "lhost-sendmail-02", "lhost-qmail-17", "lhost-qmail-25", "lhost-opensmtpd-02"}
SEVERAL |= {"lhost-opensmtpd-17", "lhost-mailru-03", "lhost-v5sendmail-05", "lhost-v5sendmail-07", "lhost-outlook-04"}
UNLABELLED = {f"rfc3464-{number}" for number in ("28", "37", "39", "41", "47")}
"""Reports on several recipients, some hard and some not: no report on a mail of ours is one."""
REPORTS = frozenset({MailKind.BOUNCE, MailKind.DELAYED, MailKind.ARRIVED, MailKind.COMPLAINT})


def mails(folder: Path) -> Iterator[tuple[str, Mail]]:
    """Every mail under a folder, by the name of its file."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield path.stem, read_mail(path.read_bytes())


def is_recognised(name: str, mail: Mail) -> bool:
    """Whether the mail is taken for the kind of thing that it is."""
    kind = kind_of(mail)
    if name.startswith("rfc3834"):
        return kind is MailKind.AUTO_REPLY
    if name.startswith("arf"):
        # A report on forged mail is a complaint in its form alone: nobody complains.
        return kind is MailKind.COMPLAINT or mail.feedback.get("feedback-type") == "auth-failure"
    return kind in REPORTS


def bounces(folder: Path, *, shows_misses: bool) -> None:
    """Recognition over all; hard or not over the labelled."""
    counts: Counter[str] = Counter()
    for name, mail in mails(folder):
        counts["all"] += 1
        is_known = is_recognised(name, mail)
        counts["recognised"] += is_known
        counts["without a usable status"] += not any(
            re.match(r"[45]\.\d+\.[1-9]", group.get("status", "")) for group in mail.delivery_status
        )
        family, _, number = name.rpartition("-")
        if shows_misses and not is_known:
            print("  not recognised:", name, kind_of(mail))
        if family not in HARD or name in SEVERAL | UNLABELLED or kind_of(mail) is not MailKind.BOUNCE:
            continue
        bounce, is_hard = bounce_of(mail), number in HARD[family].split()
        counts["no reason found"] += bounce.reason is BounceReason.NOT_SAID
        counts[f"{'hard' if is_hard else 'soft'} taken for {'hard' if bounce.is_hard else 'soft'}"] += 1
        if shows_misses and bounce.is_hard != is_hard:
            print("  hard" if is_hard else "  soft", "missed:", name, bounce.reason.value, bounce.status)
    caught, missed, wrong = (
        counts[name] for name in ("hard taken for hard", "hard taken for soft", "soft taken for hard")
    )
    for name, count in counts.items():
        print(f"  {name}: {count}")
    print(f"  recognised {counts['recognised'] / counts['all']:.1%}")
    print(f"  hard bounces: recall {caught / (caught + missed):.1%}, precision {caught / (caught + wrong):.1%}")


def answers(folder: Path) -> None:
    """Answers of which the set says exactly what is new: its common first paragraph."""
    tests = "".join(path.read_text() for path in folder.rglob("*.js"))
    first = next(folder.rglob("email_17.txt")).read_text().split("\n\n")[0].strip()
    names = re.findall(r'get_email\("(\w+)"\);[^}]*?test\.equal\(COMMON_FIRST_FRAGMENT', tests)
    known = [path for name in names for path in folder.rglob(f"{name}.txt")]
    exact = sum(newly_written(path.read_text()) == first for path in known)
    print(f"  exactly what is new: {exact} of {len(known)}")


def broken(folder: Path) -> None:
    """Mail of all kinds, much of it broken: nothing may stop the reader, and no text may be lost."""
    started = time.perf_counter()
    read = [(name, mail) for name, mail in mails(folder)]
    empty = [name for name, mail in read if not (mail.text.strip() or mail.attachments or mail.returned)]
    taken = sorted(name for name, mail in read if kind_of(mail) is not MailKind.WRITTEN)
    print(f"  read {len(read)} of {len(read)}, {len(read) / (time.perf_counter() - started):.0f} a second")
    print(f"  nothing in them: {', '.join(empty) or 'none'}")
    print(f"  not written by a person: {', '.join(taken)}")


def main() -> int:
    """Run what there is data for; 2 where there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misses", action="store_true", help="name the mails that are taken wrongly")
    options = parser.parse_args()
    data = os.environ.get("BEFOREHAND_BENCH_DATA", "")
    parts = {"bounces_sisimai": "Bounces", "reply_parsing": "Answers", "mime_fixtures": "Broken mail"}
    found = {name: Path(data) / name for name in parts if data and (Path(data) / name).is_dir()}
    if not found:
        print(
            "BEFOREHAND_BENCH_DATA names no folder with bounces_sisimai, reply_parsing or mime_fixtures: nothing measured."
        )
        return 2
    for name, title in parts.items():
        print(f"{title} ({name})" if name in found else f"{title}: {name} is absent, not measured")
        if name == "bounces_sisimai" and name in found:
            bounces(found[name] / "dev" / "bsd", shows_misses=options.misses)
        elif name == "reply_parsing" and name in found:
            answers(found[name])
        elif name in found:
            broken(found[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
