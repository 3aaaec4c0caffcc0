from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "beforehand.incidents"
    label = "incidents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say what is held on customers here."""
        from beforehand.incidents import erasure

        erasure.register()
