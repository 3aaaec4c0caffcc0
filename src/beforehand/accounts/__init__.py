"""Agents, teams, sign-in, API tokens and installation settings as versioned rows."""
