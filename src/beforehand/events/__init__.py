"""The append-only log: intake, de-duplication, subscriptions."""
