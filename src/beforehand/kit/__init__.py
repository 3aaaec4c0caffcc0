"""Plumbing without a domain: ids, clock, signing, pagination, rows in bulk, the embedded Postgres, page components."""
