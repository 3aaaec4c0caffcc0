"""Customers and what is theirs by the thousand: rows become columns, are checked, are written in sets."""
