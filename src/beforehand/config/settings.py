"""Django's settings, made from the environment; everything that is business, not deployment, is a row in `accounts`."""

import logging.config
from pathlib import Path

from django.utils.translation import gettext_lazy as _

from beforehand.config.database import databases
from beforehand.config.environment import current_environment
from beforehand.outbound.smtp_handshake import Tls

PACKAGE = Path(__file__).resolve().parent.parent
ENVIRONMENT = current_environment()

SECRET_KEY = ENVIRONMENT.secret_key
SECRET_KEY_FALLBACKS = list(ENVIRONMENT.secret_key_fallbacks)
DEBUG = ENVIRONMENT.debug
BASE_URL = ENVIRONMENT.base_url
BEHIND_PROXY = ENVIRONMENT.behind_proxy
ALLOWED_HOSTS = ENVIRONMENT.allowed_hosts
CSRF_TRUSTED_ORIGINS = [BASE_URL]
DATABASES = databases(ENVIRONMENT)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "beforehand.console",  # before allauth, whose sign-in pages it draws anew
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "beforehand.kit.web",
    "beforehand.events",
    "beforehand.accounts",
    "beforehand.customers",
    "beforehand.outbound",
    "beforehand.promises",
    "beforehand.detection",
    "beforehand.conversations",
    "beforehand.incidents",
    "beforehand.playbooks",
    "beforehand.insights",
    "beforehand.api",
    "beforehand.portal",
]

MIDDLEWARE = [
    "beforehand.kit.web.middleware.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "beforehand.kit.web.middleware.ContentSecurityMiddleware",
    "beforehand.kit.web.middleware.ReaderZoneMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "beforehand.kit.web.middleware.CompressionMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "beforehand.config.urls"
ASGI_APPLICATION = "beforehand.config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "beforehand.accounts.adapter.ClosedSignUp"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # a stranger cannot make us write to anyone
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# Mail to employees about their own account; customers' messages have an engine of their own.
EMAIL_HOST, EMAIL_PORT = ENVIRONMENT.smtp.host, ENVIRONMENT.smtp.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = ENVIRONMENT.smtp.user, ENVIRONMENT.smtp.password
EMAIL_USE_TLS, EMAIL_USE_SSL = ENVIRONMENT.smtp.tls is Tls.STARTTLS, ENVIRONMENT.smtp.tls is Tls.IMPLICIT
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = ENVIRONMENT.mail_from
MFA_ADAPTER = "beforehand.accounts.adapter.SealedSecrets"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True  # an administrator wrote the address down
MFA_TOTP_TOLERANCE = 1
SOCIALACCOUNT_ADAPTER = "beforehand.accounts.adapter.CompanySignIn"
SOCIALACCOUNT_LOGIN_ON_GET = True  # a link and no form: our own policy keeps a form from leading to another site
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10
OIDC_NAME = ENVIRONMENT.oidc_name if ENVIRONMENT.oidc_url else ""
OIDC_DOMAINS = [domain.lower() for domain in ENVIRONMENT.oidc_domains]
OIDC_CLAIM = ENVIRONMENT.oidc_claim or ""
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "APPS": [
            {
                "provider_id": "company",
                "name": ENVIRONMENT.oidc_name,
                "client_id": ENVIRONMENT.oidc_client,
                "secret": ENVIRONMENT.oidc_secret,
                "settings": {"server_url": ENVIRONMENT.oidc_url, "oauth_pkce_enabled": True},
            }
        ]
        if ENVIRONMENT.oidc_url
        else []
    }
}
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/console/"

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("nl", _("Dutch")), ("ar", _("Arabic")), ("hi", _("Hindi"))]
LOCALE_PATHS = [PACKAGE / "locale"]

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

_secure = BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = _secure
CSRF_COOKIE_SECURE = _secure
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024

MAIL_FROM = ENVIRONMENT.mail_from
REPLY_MAILBOX = f"reply@{ENVIRONMENT.reply_domain}"
MESSAGE_DOMAIN = ENVIRONMENT.reply_domain
SMTP_SERVER = ENVIRONMENT.smtp
SMS_GATEWAY = ENVIRONMENT.sms
PUSH_KEY = ENVIRONMENT.push_key
PRIVATE_HOSTS = ENVIRONMENT.private_hosts
IMAP_SERVER = ENVIRONMENT.imap_url

LOGGING_CONFIG = None
logging.config.dictConfig(ENVIRONMENT.logging())
