"""Registers the shared templates and tags with Django."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "beforehand.kit.web"
    label = "kit_web"
