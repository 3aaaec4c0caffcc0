"""Template tags of the console alone: `{% load console %}`."""
