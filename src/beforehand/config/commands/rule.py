"""`beforehand rule`: say which alerts mean trouble for customers."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from beforehand.config.commands import CommandError, add_json, print_json, ready_database, tell
from beforehand.config.environment import Environment


def arguments(parser: argparse.ArgumentParser) -> None:
    """`rule list`, `rule push FILE`, `rule enable SLUG`, `rule disable SLUG`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_json(
        actions.add_parser("list", help="the rules in the order in which they are asked", description="List rules.")
    )
    push = actions.add_parser(
        "push",
        help="make or change the rules of a file",
        description="Store the rules of a YAML or JSON file: all of them, or none if one cannot be.",
    )
    push.add_argument("file", metavar="FILE", type=Path, help="such as docs/examples/alert-rules.yaml")
    push.add_argument("--check", action="store_true", help="only say what is wrong with it")
    add_json(push)
    for name, meaning in (("enable", "let a rule count"), ("disable", "let a rule count no longer")):
        switch = actions.add_parser(name, help=meaning, description=f"{meaning.capitalize()}.")
        switch.add_argument("slug", metavar="SLUG")
        add_json(switch)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """List, push, enable or disable rules."""
    with ready_database(environment):
        match given.action:
            case "list":
                return _list(given)
            case "push":
                return _push(given)
            case _:
                return _switch(given)


def _list(given: argparse.Namespace) -> int:
    from beforehand.api.alert_rules import shown_rule
    from beforehand.detection.models import AlertRule

    rules = list(AlertRule.objects.select_related("owner").order_by("pk"))
    if given.json:
        print_json([shown_rule(rule) for rule in rules])
        return 0
    if not rules:
        tell("There is no rule: `beforehand rule push docs/examples/alert-rules.yaml` makes the first ones.")
        return 0
    table = Table("rule", "name", "counts", "opens", "when", box=None, pad_edge=False)
    for rule in rules:
        counts = "yes" if rule.is_enabled else "no"
        table.add_row(rule.slug, rule.name, counts, f"{rule.severity} {rule.kind}", rule.condition)
    Console().print(table)
    return 0


def _push(given: argparse.Namespace) -> int:
    from django.db import transaction

    from beforehand.accounts.models import Team
    from beforehand.api.alert_rules import save
    from beforehand.config.rule_file import FileProblem, RuleFileError, read_rules
    from beforehand.detection.models import AlertRule

    try:
        rules = read_rules(given.file)
        teams = {team.slug: team for team in Team.objects.all()}
        unknown = [one for one in rules if one.rule.owner and one.rule.owner not in teams]
        if unknown:
            raise RuleFileError(
                [FileProblem(one.owner_line, f'There is no team "{one.rule.owner}".') for one in unknown]
            )
    except OSError as error:
        raise CommandError(f"{given.file} cannot be read: {error.strerror}") from None
    except RuleFileError as error:
        if given.json:
            problems = [{"line": problem.line, "message": problem.message} for problem in error.problems]
            print_json({"ok": False, "problems": problems})
        for problem in error.problems if not given.json else ():
            print(f"{given.file}:{problem.line}: {problem.message}")
        raise CommandError(f"{given.file} has {len(error.problems)} faults: nothing was stored") from None
    if not given.check:
        with transaction.atomic():
            known = dict(AlertRule.objects.values_list("slug", "is_enabled"))
            for one in rules:
                # A rule that somebody switched off stays so unless the file says otherwise.
                if "is_enabled" not in one.rule.model_fields_set:
                    one.rule.is_enabled = known.get(one.slug, True)
                save(one.slug, one.rule, owner=teams.get(one.rule.owner or ""), actor="command")
    slugs = [one.slug for one in rules]
    if given.json:
        print_json({"ok": True, "stored": [] if given.check else slugs})
    elif given.check:
        tell(f"{given.file} is in order: {', '.join(slugs) or 'no rules'}.")
    else:
        tell(f"Stored: {', '.join(slugs) or 'nothing'}. Alerts that come from now on are judged by it.")
    return 0


def _switch(given: argparse.Namespace) -> int:
    from beforehand.api.alert_rules import shown_rule
    from beforehand.detection.actions import disable_rule, enable_rule
    from beforehand.detection.models import AlertRule

    rule = AlertRule.objects.select_related("owner").filter(slug=given.slug).first()
    if rule is None:
        known = ", ".join(AlertRule.objects.order_by("slug").values_list("slug", flat=True))
        raise CommandError(f"there is no rule {given.slug!r}; known: {known or 'none'}")
    if given.action == "enable":
        enable_rule(rule, actor="command")
    else:
        disable_rule(rule, actor="command")
    if given.json:
        print_json(shown_rule(rule))
    else:
        tell(f"{rule.slug} counts." if rule.is_enabled else f"{rule.slug} counts no longer; open incidents stay open.")
    return 0
