from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "beforehand.conversations"
    label = "conversations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say what is held on customers here."""
        from beforehand.conversations import erasure

        erasure.register()
