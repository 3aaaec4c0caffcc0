"""HTTP API and intake: one router a noun; it translates, and holds no rules."""
