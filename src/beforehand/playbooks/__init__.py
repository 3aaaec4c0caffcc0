"""Playbook versions, approval and runs; a run tells the affected."""
