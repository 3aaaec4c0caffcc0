"""Customers, contact points, consents, holdings, components, segments and their import."""
