"""Which address is answered by what."""

from django.conf import settings
from django.urls import include, path

from beforehand.api.playbook_schema import playbook_schema
from beforehand.config.health import healthz, readyz
from beforehand.config.metrics import metrics
from beforehand.kit.web.gallery import gallery
from beforehand.portal.feeds import DOCUMENTS, document

urlpatterns = [
    *(
        path(f"api/v2/{name}.json", document, {"name": name.rpartition("/")[2]}, name=f"status-{name}")
        for name in DOCUMENTS
    ),
    path("", include("beforehand.api.urls")),
    path("schemas/playbook.json", playbook_schema, name="playbook-schema"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/second-step/", include("allauth.mfa.urls")),
    path("accounts/", include("allauth.socialaccount.providers.openid_connect.urls")),
    path("language/", include("django.conf.urls.i18n")),
    path("console/", include("beforehand.console.urls")),
    path("", include("beforehand.portal.urls")),
]
if settings.DEBUG:
    urlpatterns.append(path("gallery/", gallery, name="gallery"))
