"""The playbook language as JSON Schema 2020-12, for editors; generated from the parser's own table."""

from beforehand.engine.playbooks.grammar import INNER_STEPS, PLAYBOOK, Json, shape


def playbook_json_schema() -> Json:
    """The schema of `playbook.yaml`. It knows the words; `check_playbook` knows the sense."""
    inner = {"anyOf": [shape(keys) for keys in INNER_STEPS.values()]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:beforehand:playbook:1",
        "title": "Playbook",
        "$defs": {"inner-step": inner},
    } | shape(PLAYBOOK)
