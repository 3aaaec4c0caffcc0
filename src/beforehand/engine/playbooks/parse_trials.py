"""Reads the tests that a playbook carries."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from beforehand.engine.playbooks import yaml_tree
from beforehand.engine.playbooks.fields import Fields, Problems, did_you_mean, form_of, place_of, read_choice
from beforehand.engine.playbooks.grammar import (
    MAX_TRIALS,
    TRIAL,
    TRIAL_CHANGE,
    TRIAL_CUSTOMER,
    TRIAL_EXPECT,
    TRIAL_GIVEN,
    TRIAL_INCIDENT,
    Asked,
    PersonDoes,
)
from beforehand.engine.playbooks.language import Audience, Channel, EndReason
from beforehand.engine.playbooks.place import Place
from beforehand.engine.playbooks.problems import ProblemReason
from beforehand.engine.playbooks.trials import (
    A_PERSON,
    DEFAULT_AFFECTED,
    DEFAULT_BEGAN,
    DEFAULT_KIND,
    DEFAULT_SEVERITY,
    NOT_STARTED,
    Expected,
    Given,
    GivenKind,
    Happening,
    HappeningKind,
    IncidentChange,
    Trial,
    TrialCustomer,
    moment_words,
)

_TITLE_LIMIT = 200
_AT_ONCE = timedelta(0)
_TELL_AUDIENCES = (Audience.AFFECTED, Audience.TOLD)


def read_trials(fields: Fields, problems: Problems) -> tuple[Trial, ...]:
    """The playbook's tests, in the order of the file."""
    nodes = fields.items("tests")
    if len(nodes) > MAX_TRIALS:
        problems.add(nodes[MAX_TRIALS], ProblemReason.TOO_MANY_TESTS, limit=str(MAX_TRIALS))
        return ()
    names: dict[str, Place] = {}
    trials: list[Trial] = []
    for node in _mappings(nodes, "tests", problems):
        trial = _trial(Fields(node, TRIAL, problems), place_of(node), problems)
        if trial.name in names:
            first = str(names[trial.name].line)
            problems.add(trial.place, ProblemReason.DUPLICATE_TEST, name=trial.name, first=first)
        names.setdefault(trial.name, trial.place)
        trials.append(trial)
    return tuple(trials)


def _mappings(nodes: Iterable[yaml_tree.Node], key: str, problems: Problems) -> Iterable[yaml_tree.Mapping]:
    for node in nodes:
        if isinstance(node, yaml_tree.Mapping):
            yield node
        else:
            problems.add(node, ProblemReason.NOT_A_MAPPING, key=key)


def _trial(fields: Fields, place: Place, problems: Problems) -> Trial:
    written = fields.mapping("incident")
    incident = Fields(written, TRIAL_INCIDENT, problems) if written else None
    change = _change(incident) if incident else IncidentChange()
    known_after = incident.moment("known after") if incident else _AT_ONCE
    expected = [_expected(node, problems) for node in _mappings(fields.items("expect"), "expect", problems)]
    given = [_given(node, problems) for node in _mappings(fields.items("given"), "given", problems)]
    for early in (one for one in given if one is not None and one.at < known_after):
        at, known = moment_words(early.at), moment_words(known_after)
        problems.add(early.place, ProblemReason.TEST_BEFORE_KNOWN, at=at, known=known)
    return Trial(
        name=fields.text("name", _TITLE_LIMIT) or "",
        place=place,
        incident=IncidentChange(
            change.kind or DEFAULT_KIND, change.severity or DEFAULT_SEVERITY, change.affected or DEFAULT_AFFECTED
        ),
        known_after=known_after,
        given=tuple(sorted((one for one in given if one is not None), key=lambda one: one.at)),
        expected=tuple(one for one in expected if one is not None),
        began=(incident.time_of_day("began") if incident else None) or DEFAULT_BEGAN,
        until=fields.moment("until") if fields.node_at("until") is not None else None,
        customer=_customer(fields, problems),
    )


def _customer(fields: Fields, problems: Problems) -> TrialCustomer | None:
    written = fields.mapping("customer")
    if written is None:
        return None
    said = Fields(written, TRIAL_CUSTOMER, problems)
    has = _channels(said, "has", problems) if said.node_at("has") is not None else None
    return TrialCustomer(has, _channels(said, "over the failure", problems))


def _channels(fields: Fields, key: str, problems: Problems) -> frozenset[str]:
    found = set()
    for node in fields.items(key):
        if isinstance(node, yaml_tree.Scalar):
            found.add(read_choice(key, node, list(Channel), problems).value)
        else:
            problems.add(node, ProblemReason.NOT_TEXT, key=key)
    return frozenset(found)


def _change(fields: Fields) -> IncidentChange:
    return IncidentChange(fields.word("kind"), fields.word("severity"), fields.number("affected"))


def _given(node: yaml_tree.Mapping, problems: Problems) -> Given | None:
    form = form_of(node, TRIAL_GIVEN, problems)
    if form is None:
        return None
    fields = Fields(node, TRIAL_GIVEN[form], problems)
    at, place, kind = fields.moment("at"), place_of(node), GivenKind(form)
    match kind:
        case GivenKind.EVENT:
            return Given(at, kind, place, what=fields.event("event") or "")
        case GivenKind.DONE:
            return Given(at, kind, place, what=fields.name("done") or "")
        case GivenKind.CONFIRMS:
            fields.choice("person", PersonDoes)
            return Given(at, kind, place)
        case _:
            written = fields.mapping("incident")
            change = _change(Fields(written, TRIAL_CHANGE, problems)) if written else IncidentChange()
            return Given(at, kind, place, change=change)


def _expected(node: yaml_tree.Mapping, problems: Problems) -> Expected | None:
    form = form_of(node, TRIAL_EXPECT, problems)
    if form is None:
        return None
    fields = Fields(node, TRIAL_EXPECT[form], problems)
    at, place, kind = fields.moment("at"), place_of(node), HappeningKind(form)
    match kind:
        case HappeningKind.TELL:
            to = fields.choice("to", Audience, among=_TELL_AUDIENCES).value if fields.node_at("to") else None
            by = fields.moment("promise by") if fields.node_at("promise by") else None
            way = _one_of(fields, "by", [*Channel, A_PERSON], problems) or None
            return Expected(Happening(at, kind, fields.name("tell") or "", to, by, way), place)
        case HappeningKind.TASK:
            due = fields.moment("due") if fields.node_at("due") else None
            return Expected(Happening(at, kind, fields.name("task") or "", by=due), place)
        case HappeningKind.ASK:
            fields.choice("ask", Asked)
            return Expected(Happening(at, kind), place)
        case _:
            return Expected(Happening(at, kind, _one_of(fields, "end", [*EndReason, NOT_STARTED], problems)), place)


def _one_of(fields: Fields, key: str, known: Sequence[str], problems: Problems) -> str:
    """One of these words, of which some belong to the test alone; nothing where none is written."""
    said = fields.text(key)
    if said is not None and said not in known:
        problems.add(fields.place(key), ProblemReason.BAD_CHOICE, key=key, value=said, hint=did_you_mean(said, known))
    return said or ""
