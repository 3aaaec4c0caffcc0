"""Turns what senders post into events and alerts: pure functions, no database, no clock, no framework."""
