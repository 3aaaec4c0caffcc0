"""Alerts and the rules that raise and clear a problem."""
