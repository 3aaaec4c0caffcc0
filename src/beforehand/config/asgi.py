"""The ASGI application that the web server runs."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "beforehand.config.settings")
pages_and_api = get_asgi_application()

from beforehand.api.bodies import BodyLimit  # noqa: E402 - only once Django is set up
from beforehand.config.database import pool_connections  # noqa: E402

application = BodyLimit(pages_and_api)


def served() -> BodyLimit:
    """The application of a process that does nothing but serve: its threads share connections."""
    pool_connections()
    return application
