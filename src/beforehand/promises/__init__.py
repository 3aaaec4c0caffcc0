"""The ledger of what we owe, and its watchdog."""
