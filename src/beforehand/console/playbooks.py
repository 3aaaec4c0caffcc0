"""Playbooks: what we agreed to do, in words; its texts as customers read them; and the word that lets it speak."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST

from beforehand.accounts.access import may
from beforehand.accounts.installation import installation
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.confirming import mail_page
from beforehand.console.playbook_changes import change_sentence, version_changes
from beforehand.console.runs import playbook_lines, run_sentence
from beforehand.kit import clock
from beforehand.outbound.templates import MailValueError, TemplateRefusedError
from beforehand.playbooks.actions import NotTheirsToApprove, PlaybookRefused, approve_version, make_named_teams
from beforehand.playbooks.bundles import bundle_problems, flat, playbook_of
from beforehand.playbooks.learning import changes_of
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.playbooks.queries import TeamApproval, named_teams, team_approvals
from beforehand.playbooks.samples import text_sample


@allowed()
def playbooks(request: PageRequest) -> HttpResponse:
    """Every playbook by its current version, with how many runs are under way."""
    current = PlaybookVersion.objects.filter(is_current=True).select_related("approved_by").order_by("slug")
    under_way = dict(
        Run.objects.exclude(state=Run.State.FINISHED)
        .values("version__slug")
        .annotate(count=Count("pk"))
        .values_list("version__slug", "count")
    )
    rows = [(version, playbook_of(version.pk).title, under_way.get(version.slug, 0)) for version in current]
    return render(request, "console/playbooks/list.html", {"nav": "playbooks", "rows": rows})


@allowed()
def version(request: PageRequest, slug: str, number: int) -> HttpResponse:
    """One version: its steps in words, its texts, what is wrong with it, and where its runs are."""
    found = get_object_or_404(PlaybookVersion.objects.select_related("approved_by"), slug=slug, number=number)
    playbook = playbook_of(found.pk)
    languages = installation().brand.languages
    runs = list(
        Run.objects.filter(version=found)
        .exclude(state=Run.State.FINISHED)
        .select_related("incident")
        .order_by("-pk")[:20]
    )
    previous = PlaybookVersion.objects.filter(slug=slug, number__lt=number).order_by("-number").first()
    changes = version_changes(previous, found.source, flat(found.texts)) if previous else []
    approvals = team_approvals(found, playbook.approve_by)
    own = _own_team(request, approvals)
    named = named_teams(playbook)
    context = {
        "nav": "playbooks",
        "version": found,
        "playbook": playbook,
        "previous": previous,
        "changes": [change_sentence(change) for change in changes],
        "approvals": approvals,
        "named": named,
        "lacks_teams": not all(team.is_known for team in named),
        "own_team": own.name if own else "",
        "may_approve": own is not None if approvals else may(request.user, "playbook:approve"),
        "versions": PlaybookVersion.objects.filter(slug=slug).order_by("-number").values("number", "approved_at")[:20],
        "lines": playbook_lines(playbook),
        "texts": [
            (name, sorted(texts), [code for code in languages if code not in texts])
            for name, texts in sorted(found.texts.items())
        ],
        "problems": bundle_problems(
            found.source, flat(found.texts), audience_languages={code: 1 / len(languages) for code in languages}
        ),
        "runs": [(run, run_sentence(run)) for run in runs],
        "wanted": changes_of(slug),
        "today": clock.now().date(),
    }
    return render(request, "console/playbooks/version.html", context)


@allowed("roster:write")
@require_POST
def make_teams(request: PageRequest, slug: str, number: int) -> HttpResponse:
    """Make the teams that this version names and that are not there."""
    found = get_object_or_404(PlaybookVersion, slug=slug, number=number)
    if make_named_teams(playbook_of(found.pk), actor=actor_of(request)):
        messages.success(request, _("Made, with nobody in them. Put people into them now."))
    return redirect("console:playbook", slug=slug, number=number)


def _own_team(request: PageRequest, approvals: list[TeamApproval]) -> TeamApproval | None:
    """The first team that must still approve and to which this person belongs."""
    own = set(request.user.teams.values_list("slug", flat=True)) if approvals else set()
    return next((team for team in approvals if team.approved_at is None and team.slug in own), None)


@allowed()
def text(request: PageRequest, slug: str, number: int, name: str, language: str) -> HttpResponse:
    """One text in one language: as customers read it, and as it is written."""
    found = get_object_or_404(PlaybookVersion, slug=slug, number=number)
    source = found.texts.get(name, {}).get(language)
    if source is None:
        raise Http404
    subject, error = "", ""
    try:
        mail = text_sample(found, name, language, now=clock.now())
        subject = mail.subject if mail else ""
    except (TemplateRefusedError, MailValueError) as refused:
        error = str(refused)
    context = {
        "nav": "playbooks", "version": found, "name": name, "language": language, "source": source,
        "languages": sorted(found.texts[name]), "subject": subject, "error": error,
    }  # fmt: skip
    return render(request, "console/playbooks/text.html", context)


@allowed()
@xframe_options_sameorigin
def text_mail(request: PageRequest, slug: str, number: int, name: str, language: str) -> HttpResponse:
    """The text as a mail, in a frame that can do nothing."""
    found = get_object_or_404(PlaybookVersion, slug=slug, number=number)
    try:
        mail = text_sample(found, name, language, now=clock.now())
    except (TemplateRefusedError, MailValueError) as error:
        return mail_page(str(error), is_html=False)
    if mail is None:
        raise Http404
    return mail_page(mail.html)


@allowed()
@require_POST
def approve(request: PageRequest, slug: str, number: int) -> HttpResponse:
    """From now on this version tells without asking first; where the playbook names teams, from the last team's word on."""
    found = get_object_or_404(PlaybookVersion, slug=slug, number=number)
    if not playbook_of(found.pk).approve_by and not may(request.user, "playbook:approve"):
        raise PermissionDenied
    if request.POST.get("confirmed") != "yes":
        messages.error(request, _("Press the button in the dialog to approve."))
    elif found.approved_at is None:
        try:
            is_approved = approve_version(found, user=request.user, actor=actor_of(request))
        except NotTheirsToApprove:
            messages.error(request, _("The teams that this playbook names approve it, once each."))
        except PlaybookRefused as error:
            for problem in error.problems:
                messages.error(request, problem.message)
        else:
            messages.success(request, _("Approved.") if is_approved else _("Noted. Other teams must still approve it."))
    return redirect("console:playbook", slug=slug, number=number)
