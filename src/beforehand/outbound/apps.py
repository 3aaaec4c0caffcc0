from django.apps import AppConfig


class OutboundConfig(AppConfig):
    name = "beforehand.outbound"
    label = "outbound"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say what is held on customers here."""
        from beforehand.outbound import erasure

        erasure.register()
