"""Template tags for every page: `{% load kit %}`."""
