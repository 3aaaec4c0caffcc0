"""Which colour a state's word gets: colour means urgency, so most words get none."""

TONES = frozenset({"accent", "ok", "warn", "urgent", "alarm"})

TONE_OF_STATE = {
    # happening now, and someone must act
    "critical": "alarm",
    "broken": "urgent",
    "failed": "urgent",
    "error": "urgent",
    "overdue": "urgent",
    "major": "urgent",
    "high": "urgent",
    "down": "urgent",
    # soon, or not certain
    "warning": "warn",
    "minor": "warn",
    "medium": "warn",
    "uncertain": "warn",
    "held": "warn",
    "bounced": "warn",
    "degraded": "warn",
    "due_soon": "warn",
    "waiting": "warn",
    # in hand
    "open": "accent",
    "running": "accent",
    "monitoring": "accent",
    "sending": "accent",
    "new": "accent",
    "draft": "",
    # as it should be
    "kept": "ok",
    "resolved": "ok",
    "sent": "ok",
    "delivered": "ok",
    "accepted": "ok",
    "verified": "ok",
    "success": "ok",
    "approved": "ok",
}


def tone_of(word: str) -> str:
    """A tone's own name as it is, a state's word by the table, anything else neutral ("")."""
    key = str(word or "").lower()
    return key if key in TONES else TONE_OF_STATE.get(key, "")
