from django.apps import AppConfig


class InsightsConfig(AppConfig):
    name = "beforehand.insights"
    label = "insights"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say what is held on customers here."""
        from beforehand.insights import erasure

        erasure.register()
