"""Words of the log for what no timeline tells: who signed in, what was decided about the installation."""

from django.utils.translation import gettext_lazy

KINDS = (
    ("incident run promise", gettext_lazy("Incidents, playbook runs and promises")),
    ("message", gettext_lazy("Messages")),
    ("customer contact_point consents contact conversation segment import", gettext_lazy("Customers")),
    ("alert detection alert_rule heartbeat mute intake", gettext_lazy("Alerts, rules and mutes")),
    ("playbook readiness", gettext_lazy("Playbooks and readiness")),
    ("user team roster", gettext_lazy("People, teams and sign-in")),
    ("setting token installation attribute", gettext_lazy("Settings and API tokens")),
)
"""The beginnings of types, as people group them."""

TITLES = {
    "alert.fired": gettext_lazy("An alert came in"),
    "alert.resolved": gettext_lazy("An alert is over"),
    "alert_rule.disabled": gettext_lazy("An alert rule was switched off"),
    "alert_rule.enabled": gettext_lazy("An alert rule was switched on"),
    "alert_rule.saved": gettext_lazy("An alert rule was saved"),
    "attribute.declared": gettext_lazy("A field of customers or products was declared"),
    "components.imported": gettext_lazy("Network parts were loaded"),
    "contact.late": gettext_lazy("A word to one customer was late"),
    "contact.received": gettext_lazy("The customer wrote or called"),
    "customers.imported": gettext_lazy("Customers were loaded"),
    "detection.cleared": gettext_lazy("A problem that alerts raised is over"),
    "detection.flapping": gettext_lazy("A problem comes and goes"),
    "detection.held": gettext_lazy("An alert was held back by a mute"),
    "detection.raised": gettext_lazy("Alerts raised a problem"),
    "heartbeat.saved": gettext_lazy("A heartbeat was saved"),
    "holdings.imported": gettext_lazy("Products & services were loaded"),
    "import.finished": gettext_lazy("An import was finished"),
    "incident.list_failed": gettext_lazy("Whom an incident touches could not be worked out"),
    "installation.restored": gettext_lazy("A backup was put back"),
    "message.batch_spread": gettext_lazy("A message was made ready for everybody"),
    "message.channel_changed": gettext_lazy("A message went on by another channel"),
    "message.delivered": gettext_lazy("A message arrived"),
    "message.failed": gettext_lazy("A message could not be delivered"),
    "message.placed": gettext_lazy("A message stands in an inbox"),
    "message.put_off": gettext_lazy("A message was put off by its server"),
    "message.refused": gettext_lazy("A message was not sent"),
    "message.sent": gettext_lazy("A message was sent"),
    "message.uncertain": gettext_lazy("A message was perhaps sent"),
    "mute.created": gettext_lazy("Alerts were muted"),
    "mute.ended": gettext_lazy("A mute was ended"),
    "playbook.team_approved": gettext_lazy("A playbook was approved for a team"),
    "playbook.version_approved": gettext_lazy("A playbook's version was approved"),
    "playbook.version_pushed": gettext_lazy("A playbook's version was stored"),
    "readiness.asked": gettext_lazy("Readiness was asked to be worked out"),
    "readiness.worked_out": gettext_lazy("Readiness was worked out"),
    "roster.absence_put": gettext_lazy("An absence was entered"),
    "roster.absence_removed": gettext_lazy("An absence was removed"),
    "roster.roles_set": gettext_lazy("A team's duties were set"),
    "roster.shifts_put": gettext_lazy("Shifts were entered"),
    "roster.shifts_removed": gettext_lazy("Shifts were removed"),
    "segment.deleted": gettext_lazy("A segment was deleted"),
    "segment.saved": gettext_lazy("A segment was saved"),
    "setting.changed": gettext_lazy("A setting was changed"),
    "team.changed": gettext_lazy("A team was changed"),
    "team.created": gettext_lazy("A team was made"),
    "team.member_added": gettext_lazy("Somebody joined a team"),
    "team.renamed": gettext_lazy("A team got another name"),
    "token.created": gettext_lazy("An API token was made"),
    "token.revoked": gettext_lazy("An API token was revoked"),
    "user.changed": gettext_lazy("Somebody's choices were changed"),
    "user.created": gettext_lazy("Somebody was let in"),
    "user.invited": gettext_lazy("Somebody was invited"),
    "user.mfa_changed": gettext_lazy("A second step at sign-in was set up or removed"),
    "user.password_changed": gettext_lazy("A password was changed"),
    "user.sign_in_refused": gettext_lazy("A sign-in was refused"),
    "user.signed_in": gettext_lazy("Signed in"),
    "user.signed_out": gettext_lazy("Signed out"),
}


def title_of(type_: str) -> str:
    """What such an event says; its type where there are no words for it."""
    return str(TITLES.get(type_, type_))
