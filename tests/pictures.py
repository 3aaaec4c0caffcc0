"""`make pictures`: the demo's pages as docs/pictures shows them, in two widths, two themes and two directions.

python -m tests.pictures

The pictures are of the demo company in the middle of its outage, and of its report afterwards; Chromium takes them.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
WAYS = (
    ("wide", 1440, 900, "light", "en"),
    ("wide-dark-rtl", 1440, 900, "dark", "ar"),
    ("phone-dark", 390, 844, "dark", "en"),
    ("phone-rtl", 390, 844, "light", "ar"),
)
"""Between them: both widths, both themes, both directions."""
PATIENCE = 300.0
ADDRESSES = {
    "console": re.compile(r"Console\s+(http\S+)/console/"),
    "password": re.compile(r"sign in as (\S+) with the password (\S+)"),
    "mailbox": re.compile(r"Mailbox\s+(http\S+)"),
    "story": re.compile(r"The story\s+(http\S+)"),
}


Found = TypeVar("Found")


@contextmanager
def demo() -> Iterator[Callable[[str], re.Match[str]]]:
    """The demo in a folder of its own; answers what finds a line in what it says."""
    home = Path(tempfile.mkdtemp(prefix="bh-", dir="/tmp"))
    home.chmod(0o755)
    said = home / "said.txt"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BEFOREHAND_")}
    environ |= {"BEFOREHAND_HOME": str(home / "home"), "COLUMNS": "200"}
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "beforehand.config.cli", "demo"],
            env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT,
        )  # fmt: skip

    def find(name: str) -> re.Match[str]:
        def look() -> re.Match[str] | None:
            if process.poll() is not None:
                raise SystemExit(f"the demo ended:\n{said.read_text()[-2000:]}")
            return ADDRESSES[name].search(said.read_text("utf-8", "replace"))

        return until(look, what=name)

    try:
        yield find
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)
        shutil.rmtree(home)


def until(look: Callable[[], Found | None], *, what: str) -> Found:
    """What `look` finds once it finds something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(0.2)
    return found


class Shooting:
    """A browser that goes round pages, in every way in which they are read."""

    def __init__(self, browser: Browser, *, site: str, mailbox: str, cookies: dict[str, str]) -> None:
        self.browser, self.site, self.mailbox, self.cookies = browser, site, mailbox, cookies

    def take(self, name: str, address: Callable[[str], str]) -> None:
        """One page, by what its address is for a language."""
        for way, width, height, scheme, language in WAYS:
            context = self.browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",
                locale=language,
                timezone_id="Europe/Amsterdam",  # where the company is
            )
            cookies = self.cookies | {"django_language": language}
            context.add_cookies([{"name": key, "value": value, "url": self.site} for key, value in cookies.items()])
            page = context.new_page()
            page.goto(address(language), wait_until="load")
            page.wait_for_timeout(700)  # what is live has come
            page.screenshot(path=PICTURES / f"{name}-{way}.png")
            context.close()
            smaller(PICTURES / f"{name}-{way}.png")

    def my_page(self, language: str) -> str:
        """The page of a customer who reads this language, by the link in their newest mail."""
        mails = httpx.get(f"{self.mailbox}/mails.json").json()
        number = next(mail["number"] for mail in reversed(mails) if mail["batch"] and mail["language"] == language)
        found = re.search(r'href="([^"]+/my/[^"]+)"', httpx.get(f"{self.mailbox}/mails/{number}/html").text)
        assert found is not None
        return found[1].replace("&amp;", "&")


def smaller(picture: Path) -> None:
    """A flat page needs no millions of colours."""
    if quant := shutil.which("pngquant"):
        subprocess.run([quant, "--force", "--skip-if-larger", "--output", picture, "64", picture], check=False)


def sign_in(page: Page, site: str, email: str, password: str) -> dict[str, str]:
    """The cookies of somebody who has signed in."""
    page.goto(f"{site}/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", password)
    page.click("main button[type=submit]")
    page.wait_for_url("**/console/**")
    return {cookie["name"]: cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "sessionid"}


def main() -> int:
    PICTURES.mkdir(exist_ok=True)
    with demo() as find, sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        site, mailbox, story = find("console")[1], find("mailbox")[1], find("story")[1]
        cookies = sign_in(browser.new_page(), site, *find("password").groups())
        shooting = Shooting(browser, site=site, mailbox=mailbox, cookies=cookies)

        def has_come(chapter: int) -> bool:
            states = re.findall(r'<li class="chapter (\w+)">', httpx.get(f"{story}chapters").text)
            return states[chapter - 1] in ("held", "broken")

        until(lambda: "<button>" in httpx.get(story).text, what="everything is set up")
        httpx.post(f"{story}cut", headers={"Origin": story.rstrip("/")})
        until(lambda: has_come(6), what="customers are told")
        room = until(
            lambda: re.search(r'href="([^"]+/console/incidents/[^"/]+/)"', httpx.get(story).text), what="room"
        )[1]
        shooting.take("today", lambda _: f"{site}/console/")
        shooting.take("room", lambda _: room)
        shooting.take("my-page", shooting.my_page)
        shooting.take("status", lambda _: f"{site}/status/")
        until(lambda: has_come(10), what="the end of the story")
        shooting.take("report", lambda _: f"{room}report/")
        browser.close()
    print(f"{len(list(PICTURES.glob('*.png')))} pictures in {PICTURES.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
