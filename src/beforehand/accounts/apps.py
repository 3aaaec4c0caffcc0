from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "beforehand.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
