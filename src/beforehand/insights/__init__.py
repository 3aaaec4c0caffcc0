"""Measures: what happened, how soon each customer knew, what was kept; read from every floor, owning nothing."""
