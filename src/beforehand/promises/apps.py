from django.apps import AppConfig


class PromisesConfig(AppConfig):
    name = "beforehand.promises"
    label = "promises"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say what is held on customers here."""
        from beforehand.promises import erasure

        erasure.register()
