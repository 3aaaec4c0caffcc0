"""What changed between two versions of a playbook, in sentences."""

from datetime import timedelta

from babel import Locale, UnknownLocaleError
from django.utils.translation import gettext as _

from beforehand.console.runs import line_sentence, spoken_length, spoken_rhythm
from beforehand.engine.playbooks.diff import Change, ChangeKind, Said, playbook_changes
from beforehand.engine.playbooks.language import Rhythm
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.kit.web import times
from beforehand.kit.web.mixed import apart
from beforehand.kit.web.templatetags.kit import number
from beforehand.playbooks.bundles import Texts, flat
from beforehand.playbooks.models import PlaybookVersion


def version_changes(version: PlaybookVersion, source: str, texts: Texts) -> list[Change]:
    """What the bundle changes of this version; raises `PlaybookErrors` for a bundle that cannot be read."""
    old = parse_playbook(version.source)
    return playbook_changes(old, flat(version.texts), parse_playbook(source), texts)


def change_sentence(change: Change) -> str:
    """One change, in one or two sentences."""
    values = apart(
        about=change.about,
        before=_said(change.before),
        after=_said(change.after),
        was=line_sentence(change.was) if change.was else "",
        line=line_sentence(change.line) if change.line else "",
        language=_language(change.language) if change.language else "",
    )
    match change.kind:
        case ChangeKind.RULE if change.before is None:
            return _("“%(about)s” is new: %(after)s.") % values
        case ChangeKind.RULE if change.after is None:
            return _("“%(about)s” is gone; it was %(before)s.") % values
        case ChangeKind.RULE:
            return _("“%(about)s” is now %(after)s instead of %(before)s.") % values
        case ChangeKind.STEP_ADDED:
            return _("New: %(line)s") % values
        case ChangeKind.STEP_REMOVED:
            return _("Removed: %(was)s") % values
        case ChangeKind.STEP_MOVED:
            return _("Moved to another place: %(line)s") % values
        case ChangeKind.STEP_SAYS:
            return _("Now: %(line)s Before: %(was)s") % values
        case ChangeKind.WAIT:
            return _("“%(about)s” now waits %(after)s instead of %(before)s.") % values
        case ChangeKind.RHYTHM if isinstance(change.before, Rhythm) or isinstance(change.after, Rhythm):
            return _("“%(about)s” now comes: %(after)s. Before: %(before)s.") % {
                **values,
                "after": _rhythm(change.after),
                "before": _rhythm(change.before),
            }
        case ChangeKind.RHYTHM:
            return _("“%(about)s” now comes every %(after)s instead of every %(before)s.") % values
        case ChangeKind.PROMISE if change.after == "":
            return _("“%(about)s” now promises the next update in the rhythm of its repeat.") % values
        case ChangeKind.PROMISE if not change.before and change.after is not None:
            return _("“%(about)s” now promises the next update within %(after)s.") % values
        case ChangeKind.PROMISE if change.before == "":
            return _("“%(about)s” no longer promises a next update; it did, in the rhythm of its repeat.") % values
        case ChangeKind.PROMISE if change.after is None:
            return _("“%(about)s” no longer promises a next update; it did, within %(before)s.") % values
        case ChangeKind.PROMISE:
            return _("“%(about)s” now promises the next update within %(after)s instead of %(before)s.") % values
        case _:
            return _text_or_test(change.kind) % values


def _text_or_test(kind: ChangeKind) -> str:
    return {
        ChangeKind.TEXT_ADDED: _("The text “%(about)s” is new in %(language)s."),
        ChangeKind.TEXT_REMOVED: _("The text “%(about)s” no longer exists in %(language)s."),
        ChangeKind.TEXT_CHANGED: _("The text “%(about)s” changed in %(language)s."),
        ChangeKind.TEST_ADDED: _("The test “%(about)s” is new."),
        ChangeKind.TEST_REMOVED: _("The test “%(about)s” was removed."),
        ChangeKind.TEST_CHANGED: _("The test “%(about)s” changed."),
    }[kind]


def _said(value: Said) -> str:
    if isinstance(value, timedelta):
        return spoken_length(value)
    if isinstance(value, Rhythm):
        return spoken_rhythm(value)
    return number(value) if isinstance(value, int) else value or ""


def _rhythm(value: Said) -> str:
    if isinstance(value, Rhythm):
        return spoken_rhythm(value)
    return _("every %(length)s") % {"length": _said(value)}


def _language(code: str) -> str:
    """The language's name, in the reader's language; its code where it has none."""
    try:
        return Locale.parse(code, sep="-").get_display_name(times.babel_locale()) or code
    except (ValueError, UnknownLocaleError):
        return code
