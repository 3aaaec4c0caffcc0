"""Who may do what: each role is a set of action names, and contains the role before it."""

from typing import Any

from beforehand.accounts.models import Role, User

READ = frozenset({"console:read"})
WRITE = frozenset({"incident:open", "incident:write", "incident:end", "customer:write"})
DECIDE = frozenset({"run:confirm", "playbook:approve", "roster:write", "detection:write", "audit:read"})
RULE = frozenset({"settings:write", "customer:erase", "people:write"})

ALLOWED: dict[str, frozenset[str]] = {
    Role.VIEWER.value: READ,
    Role.AGENT.value: READ | WRITE,
    Role.SUPERVISOR.value: READ | WRITE | DECIDE,
    Role.ADMIN.value: READ | WRITE | DECIDE | RULE,
}


def may(user: Any, action: str) -> bool:
    """Whether this person may do this. Somebody who is not signed in, or no longer employed, may do nothing."""
    return isinstance(user, User) and user.is_active and action in ALLOWED.get(user.role, frozenset())
