"""Settings, URLs, the ASGI application and the `beforehand` command."""
