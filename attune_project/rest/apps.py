"""What every API view stands on."""

from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "attune_project.rest"
    label = "rest"
    verbose_name = "REST"
