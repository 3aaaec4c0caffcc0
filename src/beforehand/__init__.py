"""Beforehand: customer service that speaks first."""

__version__ = "0.1.0"
