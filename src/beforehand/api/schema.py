"""`python -m beforehand.api.schema > docs/openapi.json` writes the API's schema, which is checked in."""

import json
import os


def schema_text() -> str:
    """The OpenAPI document as it is checked in; Django must be set up."""
    from beforehand.api.urls import api

    return json.dumps(api.get_openapi_schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Print the document."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "beforehand.config.settings")
    django.setup()
    print(schema_text(), end="")


if __name__ == "__main__":
    main()
