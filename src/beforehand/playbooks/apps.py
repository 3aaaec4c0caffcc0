from django.apps import AppConfig


class PlaybooksConfig(AppConfig):
    name = "beforehand.playbooks"
    label = "playbooks"
    default_auto_field = "django.db.models.BigAutoField"
