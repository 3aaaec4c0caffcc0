"""The first view of a page on a slow telephone: when something stands there, and when the page answers to a touch.

Run: .venv/bin/python -m bench.first_view URL… [--sign-in=EMAIL:PASSWORD] [--runs 5] [--json], against a running installation,
the demo for instance. Chromium as a telephone of 390 px that knows nothing of the site: a quarter of this machine's speed, and
a network of 1.6 Mbit/s with 150 ms before each answer. *Interactive* is when the scripts have run and no task of 50 ms or
more, as the page's main thread tells them, begins in the half second after.
"""

import argparse
import shutil
import sys
from urllib.parse import urlsplit

from bench.tools import Spread, machine_line, print_results
from playwright.sync_api import Browser, BrowserContext, sync_playwright

SLOWER = 4
SLOW_NETWORK = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}
QUIET = 500
ALLOWED = 1000
TELEPHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
WATCH = """window.tasks = [];
new PerformanceObserver(list => list.getEntries().forEach(one => tasks.push([one.startTime, one.duration])))
    .observe({type: "longtask", buffered: true});"""
ASK = """() => {
    const page = performance.getEntriesByType("navigation")[0];
    const all = [page, ...performance.getEntriesByType("resource")];
    return {
        paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
        ready: page.domContentLoadedEventEnd, tasks: window.tasks, answer: page.responseStart,
        bytes: all.reduce((sum, one) => sum + one.transferSize, 0),
    };
}"""


def interactive(paint: float, ready: float, tasks: list[list[float]]) -> float:
    """When half a second without a long task begins, once there is something to see and the scripts have run."""
    at = max(paint, ready)
    for began, lasted in sorted(tasks):
        if began + lasted > at and began < at + QUIET:
            at = began + lasted
    return at


def visit(context: BrowserContext, url: str) -> dict[str, float]:
    """One first view, in milliseconds since the address was asked for."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW_NETWORK)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.add_init_script(WATCH)
    page.goto(url, wait_until="load")
    page.wait_for_timeout(3 * QUIET)
    seen = page.evaluate(ASK)
    return {
        "answer": seen["answer"],
        "first contentful paint": seen["paint"],
        "interactive": interactive(seen["paint"], seen["ready"], seen["tasks"]),
        "KB": seen["bytes"] / 1000,
    }


def signed_in(browser: Browser, site: str, email: str, password: str) -> list[dict[str, str]]:
    """The session of somebody who has signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site}/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", password)
    page.click("main button[type=submit]")
    page.wait_for_url("**/console/**")
    return [
        {"name": str(one["name"]), "value": str(one["value"]), "url": site}
        for one in context.cookies()
        if one["name"] == "sessionid"
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--sign-in", default="", metavar="EMAIL:PASSWORD")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        cookies = []
        if options.sign_in:
            site = "{0.scheme}://{0.netloc}".format(urlsplit(options.urls[0]))
            cookies = signed_in(browser, site, *options.sign_in.split(":", 1))
        for url in options.urls:
            runs = []
            for _ in range(options.runs):
                context = browser.new_context(**TELEPHONE)
                context.add_cookies(cookies)
                runs.append(visit(context, url))
                context.close()
            results = {name: Spread.of([run[name] for run in runs]) for name in runs[0]}
            ratio = results["interactive"].median / ALLOWED
            print_results(urlsplit(url).path, results | {"interactive / allowed": ratio}, as_json=options.json)
        browser.close()
    print(machine_line(), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
