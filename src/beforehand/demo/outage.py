"""The main job at Noorderlicht, as it really happens: a fibre node fails, and nobody has to ask.

Everything is done through the public API, and everything that is claimed is counted at the mail server.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from beforehand.demo.company import SPARE
from beforehand.demo.own_page import answer_from
from beforehand.demo.setting_up import LASTS, PROMISE, agree, set_up
from beforehand.demo.watching import (
    CURED_EARLY,
    FAILING,
    ORDER,
    PATIENCE,
    Watched,
    addresses,
    by_language,
    ids,
)
from beforehand.demo.words import UPDATE, alertmanager_webhook, letters

SAYS = ("works", "works", "broken")
"""What the first customers answer to "is it solved?"."""


class Outage(Watched):
    """The outage of one node, step by step."""

    def prepare(self) -> None:
        """The company as it is before anything happens."""
        with self.story.step("company", "Noorderlicht, telecom and web shop, is set up through the public API."):
            set_up(self.api, self.company, console=self.story.console)
        with self.story.step("playbook", "The outage playbook is agreed: pushed, checked and approved."):
            version = agree(self.api)
            self.story.must(
                version["approved_at"] and version["is_current"], f"version {version['number']} is approved"
            )
            self.story.say(
                f"For this demo it counts in seconds: a fault must last {LASTS} s, and then there is news within"
                f" {PROMISE} s each time."
            )

        self.nobody_waits()
        self.readiness_is_known()

    def nobody_waits(self) -> None:
        with self.story.step("nobody_waits", "Nothing is wrong, and nobody waits for news."):
            waiting = self.api.get("promises", state="open")["items"]
            self.story.must(not waiting, "no promise is open, so none can break", len(waiting))
            self.story.show("Today, as the team sees it", f"{self.places.base_url}/console/")

    def readiness_is_known(self) -> None:
        with self.story.step("readiness", "If it broke now, how many could be told?"):
            self.api.post("readiness")
            ready = self.story.wait_for("Working out readiness", self._readiness, within=PATIENCE)
            share = ready["ready"] / max(1, ready["customers"])
            self.story.say(f"{ready['ready']:,} of {ready['customers']:,} customers could be told: {share:.1%}")
            lacking = self.api.get("readiness/outage/lacking", limit=1)["items"]
            self.story.must(
                bool(lacking) == (ready["ready"] < ready["customers"]),
                "whoever could not is on a list, with what is missing",
            )
            self.story.show("Readiness, and the list to mend it", f"{self.places.base_url}/console/readiness/")

    def live_through(self) -> None:
        """From the alert to the report."""
        self.alert_comes_in()
        self.affected_are_worked_out()
        self.everyone_is_told()
        self.customers_write()
        self.an_update_is_posted()
        self.the_promise_is_kept()
        self.some_join_late()
        self.some_are_cured_early()
        self.it_is_repaired()
        self.customers_say_whether_it_is_solved()
        self.everything_is_counted()
        self.what_is_learnt()

    def alert_comes_in(self) -> None:
        with self.story.step("alert", f"Fibre node {FAILING} fails. Alertmanager posts its webhook."):
            self.began_at = datetime.now(UTC)
            self.api.post("intake/alertmanager", alertmanager_webhook(node=FAILING, began_at=self.began_at))
            self.incident = self.story.wait_for("Waiting for an incident", self._open_incident, within=PATIENCE)
            took = (datetime.now(UTC) - self.began_at).total_seconds()
            since = datetime.fromisoformat(self.incident["began_at"])
            self.story.must(
                abs(since - self.began_at) < timedelta(seconds=1), "it began when the alert says, not later"
            )
            self.story.say(f"an incident is open after {took:.1f} s: {self.incident['title']}")
            self.story.show("The incident’s room", self.room)

    def affected_are_worked_out(self) -> None:
        with self.story.step("affected", "Whom does it touch, and why?"):
            self.story.wait_for("Working out the list", lambda: self._whole()["affected"], within=PATIENCE)
            listed = {row["customer"]: row for row in self._affected_rows()}
            expected = ids(self.affected)
            self.story.must(listed.keys() == expected, f"{len(expected):,} customers, found from what they own")
            reasons = Counter(row["component"] for row in listed.values() if row["product"])
            self.story.must(reasons.total() == len(listed), "each with the reason: their product, and what it hangs on")
            row = next(iter(listed.values()))
            self.story.say(f"for example {row['name']}: {row['product']}, {row['place']}, on {row['component']}")
            care = sum(row["priority"] == "care_alarm" for row in listed.values())
            self.story.say(f"{by_language(Counter(row['language'] for row in listed.values()))}; {care} care alarms")

    def everyone_is_told(self) -> None:
        with self.story.step("told", f"It has lasted {LASTS} s: everyone is told, each in their own language."):
            batch = self._told("first-notice", self.affected)
            self._in_their_language(batch)
            arabic = next(mail for mail in self.inbox.mails if mail.batch == batch and mail.language == "ar")
            self.story.must('dir="rtl"' in self.inbox.html(arabic.number), "Arabic arrives from right to left")
            seconds = self.inbox.last_at(batch) - self._decided_at(batch)
            self.figures["seconds_from_decision_to_last_mail"] = round(seconds, 2)
            self.story.must(seconds < PATIENCE, f"{seconds:.1f} s from the decision to the last mail")
            self.story.show("The mails, as customers read them", f"{self.places.mailbox_url}/")
            self.story.show("What everybody can read", f"{self.places.base_url}/status/")
        with self.story.step("could_not_tell", "Who could not be told, and why?"):
            self._the_rest_has_reasons()
            self.story.show("The list, for whoever calls or visits them", f"{self.room}could-not-tell/")

    def customers_write(self) -> None:
        with self.story.step("customers_write", "The first customers write and call."):
            without = [row["external_id"] for row in self.affected if "email" not in row]
            written = letters([*without[:2], self.affected[0]["external_id"]], at=datetime.now(UTC))
            answer = self.api.post("events", written, media_type="application/cloudevents-batch+json")
            self.story.must(answer["accepted"] == len(written), f"{len(written)} letters are known to Beforehand")
            spoken = self.api.get("say-this", language="en", component=FAILING)
            self.story.must(spoken["is_wrong"], f"and on the telephone: “{spoken['text']}”")
            self.story.show("Say this: for whoever picks up the phone", f"{self.places.base_url}/console/say-this/")

    def an_update_is_posted(self) -> None:
        with self.story.step("update", "An update is written, and the worker that sends it is killed in the middle."):
            self.api.post(
                "promises", {"incident": self.incident["id"], "outcome": "restored", "due_at": self.restored_by()}
            )
            already = len(self.inbox.mails)
            self.api.post(f"incidents/{self.incident['id']}/updates", {"texts": UPDATE})
            self.story.wait_for("The first mails arrive", lambda: self.inbox.look() > already, within=PATIENCE)
            killed = self.kill_worker()
            if killed is not None:
                self.story.say(f"process {killed} is gone, as a power cut would end it (kill -9)")
            batch = self._told("still-working.update", self.affected)
            self._in_their_language(batch)
            for language in ORDER:
                mail = next(mail for mail in self.inbox.mails if mail.batch == batch and mail.language == language)
                self.story.must(UPDATE[language] in self.inbox.html(mail.number), f"{language}: {UPDATE[language]}")
            self.story.say(
                f"{self.inbox.again} mails that were under way when it died came again under the same Message-ID"
            )

    def restored_by(self) -> str:
        """When the team promises that it works again: in ten minutes, which will be early."""
        return (datetime.now(UTC) + timedelta(minutes=10)).isoformat()

    def the_promise_is_kept(self) -> None:
        with self.story.step("kept_told", "Nobody has anything new to say. The next news comes as promised."):
            before = len(self.inbox.batches("still-working"))
            self._told("still-working", self.affected, after=before, within=PROMISE + PATIENCE)
            self.story.wait_for("Reading the ledger", lambda: self._promises()["kept"] >= 2, within=PATIENCE)
            promises = self._promises()
            self.story.must(not promises["broken"], f"promises: {promises['kept']} kept, {promises['broken']} broken")
            self.story.show("Yours to keep: promises on Today", f"{self.places.base_url}/console/")

    def some_join_late(self) -> None:
        with self.story.step("joined_late", f"Cabinet {self.late_cabinet} turns out to hang on the broken node too."):
            expected = addresses(self.late)
            self.api.post(f"incidents/{self.incident['id']}/scope", {"components": [self.late_cabinet]})

            def told() -> bool:
                self.inbox.look()
                return expected <= self._ever_told()

            self.story.wait_for("Telling them", told, within=PATIENCE)
            latest = {batch for batch in self.inbox.by_batch if self.inbox.recipients(batch) & expected}
            self.story.must(
                self._ever_told() >= expected,
                f"{len(self.late)} more customers: the {len(expected)} with an address have the latest news",
            )
            self.story.must(len(latest) <= 2, "and not what was said before they were affected", len(latest))

    def some_are_cured_early(self) -> None:
        with self.story.step("cured_early", f"{CURED_EARLY} customers are moved to a spare card: they work again."):
            spare, cabinet = self.node.cabinet(SPARE), self.node.cabinet(1)
            moved = [
                line | {"components": [spare if name == cabinet else name for name in line["components"]]}
                for customer in self.cured
                for line in self.company.lines_of[customer["external_id"]]
            ]
            self.api.post("holdings", {"rows": moved})
            self._told("left-cured", self.cured)
            still = len(self.affected) + len(self.late) - len(self.cured)
            self.story.must(self._whole()["affected"] == still, f"{still:,} customers are still affected")

    def it_is_repaired(self) -> None:
        with self.story.step("repaired", "The cable is spliced. Alertmanager posts: resolved."):
            webhook = alertmanager_webhook(node=FAILING, began_at=self.began_at, ended_at=datetime.now(UTC))
            self.api.post("intake/alertmanager", webhook)
            cured = ids(self.cured)
            still = [row for row in [*self.affected, *self.late] if row["external_id"] not in cured]
            batch = self._told("all-clear", still)
            self._in_their_language(batch)
            self.story.must(self._whole()["state"] == "resolved", "the incident is over")
            self.story.must(self._promises()["kept_early"] == 1, "restored earlier than promised: the ledger says so")

    def customers_say_whether_it_is_solved(self) -> None:
        with self.story.step("solved", f"{len(SAYS)} customers follow the link in their mail, and press an answer."):
            batch = self.inbox.batches("all-clear")[0]
            mails = [mail for mail in self.inbox.mails if mail.batch == batch]
            for mail, says in zip(mails, SAYS, strict=False):
                answer_from(self.inbox.html(mail.number), says=says)
            self.story.must(
                self._promises_to_one() == SAYS.count("broken"),
                "who says that it is still broken gets a person, and a time by which they hear from them",
            )
            self.story.show("Their answers, in the incident’s room", self.room)

    def everything_is_counted(self) -> None:
        with self.story.step("counted", "Counted at the mail server, and against Beforehand's own record:"):
            self.story.wait_for("Waiting for the last outcomes", self._is_all_done, within=PATIENCE)
            messages = list(self.api.pages("messages", incident=self.incident["id"]))
            states = Counter(message["state"] for message in messages)
            self.inbox.look()
            mails = len(self.inbox.mails)
            self.story.must(
                not self.inbox.twice(), f"{mails:,} mails, nobody was told anything twice", self.inbox.twice()
            )
            self.story.must(states["sent"] == mails, "as many as Beforehand says it has sent", dict(states))
            open_states = states["queued"] + states["uncertain"]
            self.story.must(not open_states, "nothing is left in doubt", dict(states))
            self.story.must(not self.inbox.batches("holding"), "no news was late")

    def what_is_learnt(self) -> None:
        with self.story.step("report", "The report of the incident."):
            self.report = self.api.get(f"incidents/{self.incident['id']}/report")
            touched = [*self.affected, *self.late]
            told, not_told = self.report["told"], sum(self.report["not_told"].values())
            self.story.must(self.report["affected"] == len(touched), f"{len(touched):,} customers were affected")
            self.story.must(told == len(addresses(touched)), f"{told:,} were told", len(addresses(touched)))
            self.story.must(told + not_told == len(touched), f"{not_told} were not, each with a reason")
            start = self.report["head_start"] or 0
            self.story.must(start > 0, f"we knew {start:.0f} s before the first customer wrote")
            self.story.show("The report", f"{self.room}report/")
            broken, kept = self.report["promises_broken"], self.report["promises_kept"]
            self.story.must(kept >= 3 and not broken, f"{kept} promises were kept, {broken} broken")

    def summary(self) -> dict[str, Any]:
        """What happened, in figures."""
        report, affected = self.report, Counter(row["language"] for row in [*self.affected, *self.late])
        promises = {"kept": report.get("promises_kept"), "broken": report.get("promises_broken")}
        told = {row["language"]: row["told"] for row in report.get("languages", [])}
        return {
            "held": self.story.held and bool(report),
            "customers": len(self.company.customers),
            "affected": report.get("affected"),
            "told": report.get("told"),
            "not_told": report.get("not_told"),
            "languages": {code: {"affected": affected[code], "told": told.get(code)} for code in ORDER},
            "mails": len(self.inbox.mails),
            "mails_by_language": dict(Counter(mail.language for mail in self.inbox.mails).most_common()),
            "told_twice": self.inbox.twice(),
            "joined_late": len(self.late),
            "cured_early": len(self.cured),
            "promises": promises,
            "head_start_seconds": report.get("head_start"),
            "seconds_from_decision_to_last_mail": self.figures.get("seconds_from_decision_to_last_mail"),
            "playbook": f"waits and rhythm in seconds: lasts {LASTS}, news promised within {PROMISE}",
            "history": "none: the API takes no incidents that are over",
            "steps": [step.as_json() for step in self.story.steps],
        }
