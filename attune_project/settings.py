"""Django settings of Attune: every value that an operator may change is an environment variable.

ATTUNE_ENV is `production` unless said otherwise, so that a forgotten variable fails closed.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured
from kombu.utils.url import maybe_sanitize_url

from attune_project import environment as env
from attune_project import faults
from attune_project.service import current_service

django_stubs_ext.monkeypatch()  # so that ModelAdmin[Rule] and the like mean what they say at run time

VERSION = "0.1.0"
BASE_DIR = Path(__file__).resolve().parent.parent
ATTUNE_ENV = env.choice("ATTUNE_ENV", ("production", "development", "test"), "production")
PRODUCTION = ATTUNE_ENV == "production"
DEBUG = False


def secret(name: str, minimum: int) -> str:
    """Return a secret; production refuses to start without it, elsewhere a fixed one stands in."""
    value = env.text(name)
    if not value and not PRODUCTION:
        return f"not-a-secret-{name.lower()}-" + "0" * minimum
    if len(value.encode()) < minimum:
        raise ImproperlyConfigured(f"{name}: production needs at least {minimum} bytes of it")
    return value


SECRET_KEY = secret("SECRET_KEY", 50 if PRODUCTION else 32)
ATTUNE_JWT_SECRET = secret("ATTUNE_JWT_SECRET", 32)
ATTUNE_ENCRYPTION_KEY = secret("ATTUNE_ENCRYPTION_KEY", 32)
ATTUNE_ENCRYPTION_KEYS_OLD = env.text("ATTUNE_ENCRYPTION_KEYS_OLD").split()

ALLOWED_HOSTS = env.words(
    "ATTUNE_ALLOWED_HOSTS", "" if PRODUCTION else "localhost,127.0.0.1,[::1],testserver"
)
CSRF_TRUSTED_ORIGINS = env.words("ATTUNE_CSRF_TRUSTED_ORIGINS")
TRUSTED_PROXIES = env.words("ATTUNE_TRUSTED_PROXIES", "" if PRODUCTION else "127.0.0.1,::1")
ATTUNE_API_URL = env.text("ATTUNE_API_URL", "http://localhost:8080")
ATTUNE_DATA_DIR = Path(env.text("ATTUNE_DATA_DIR", str(BASE_DIR / ".attune"))).absolute()
ATTUNE_PACKS_DIR = Path(env.text("ATTUNE_PACKS_DIR", str(ATTUNE_DATA_DIR / "packs")))
ATTUNE_RUNTIME_ENVS_DIR = Path(env.text("ATTUNE_RUNTIME_ENVS_DIR", str(ATTUNE_DATA_DIR / "envs"))).absolute()
ATTUNE_PYTHON = env.text("ATTUNE_PYTHON")  # none: the one behind the worker's own
ATTUNE_NODE = env.text("ATTUNE_NODE", "node")
ATTUNE_ENV_BUILD_SECONDS = env.number("ATTUNE_ENV_BUILD_SECONDS", 600, minimum=1)
ATTUNE_ENV_RETRY_SECONDS = env.number("ATTUNE_ENV_RETRY_SECONDS", 60)
ATTUNE_HTTP_ALLOW = env.words("ATTUNE_HTTP_ALLOW")
ATTUNE_HTTP_CONNECT_SECONDS = env.number("ATTUNE_HTTP_CONNECT_SECONDS", 10, minimum=0.1)
ATTUNE_HTTP_READ_SECONDS = env.number("ATTUNE_HTTP_READ_SECONDS", 300, minimum=0.1)
ATTUNE_SELF_REGISTRATION = env.flag("ATTUNE_SELF_REGISTRATION")
ATTUNE_WORKER_SLOTS = env.bounds("ATTUNE_WORKER_SLOTS", (8, 8), minimum=1)
ATTUNE_WORKER_BUILTIN_SLOTS = env.integer("ATTUNE_WORKER_BUILTIN_SLOTS", 32, minimum=1)
ATTUNE_WORKER_MAX_RSS_MB = env.number("ATTUNE_WORKER_MAX_RSS_MB", 0)
ATTUNE_WORKER_POOL = env.text("ATTUNE_WORKER_POOL")
ATTUNE_WORKER_POOLS = env.words("ATTUNE_WORKER_POOLS")
ATTUNE_WORKER_LABELS = env.pairs("ATTUNE_WORKER_LABELS")
ATTUNE_SANDBOX = env.choice("ATTUNE_SANDBOX", ("none", "user", "bwrap"), "none")
ATTUNE_RUN_UIDS = env.span("ATTUNE_RUN_UIDS", range(64_000, 65_000))
ATTUNE_RUN_PID_NAMESPACE = env.flag("ATTUNE_RUN_PID_NAMESPACE", True)
# Half of the host's: one process that runs away leaves room for the others. 0 in any of these: no limit.
ATTUNE_RUN_MEMORY_MB = env.integer(
    "ATTUNE_RUN_MEMORY_MB", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 // 1024**2
)
ATTUNE_RUN_CPU_SECONDS = env.integer("ATTUNE_RUN_CPU_SECONDS", 0)
ATTUNE_RUN_FILES = env.integer("ATTUNE_RUN_FILES", 1024)
ATTUNE_RUN_PROCESSES = env.integer("ATTUNE_RUN_PROCESSES", 1024)
ATTUNE_RUN_FILE_SIZE_MB = env.integer("ATTUNE_RUN_FILE_SIZE_MB", 10_240)
ATTUNE_DRAIN_SECONDS = env.number("ATTUNE_DRAIN_SECONDS", 30)
ATTUNE_LEASE_SECONDS = env.number("ATTUNE_LEASE_SECONDS", 20, minimum=3)
ATTUNE_HEARTBEAT_SECONDS = env.number("ATTUNE_HEARTBEAT_SECONDS", 2, minimum=0.1)
ATTUNE_POLLS = env.flag("ATTUNE_POLLS", True)
ATTUNE_POLL_SECONDS = env.number("ATTUNE_POLL_SECONDS", 2, minimum=0.1)
ATTUNE_PROBE_SECONDS = env.number("ATTUNE_PROBE_SECONDS", 4, minimum=0.5)
ATTUNE_PROBE_LATE_SECONDS = env.number("ATTUNE_PROBE_LATE_SECONDS", 20, minimum=1)
ATTUNE_PUBLISH_TIMEOUT = env.number("ATTUNE_PUBLISH_TIMEOUT", 3, minimum=0.1)
ATTUNE_NO_WORKER_SECONDS = env.number("ATTUNE_NO_WORKER_SECONDS", 300, minimum=1)
ATTUNE_RESULT_LIMIT_MB = env.integer("ATTUNE_RESULT_LIMIT_MB", 32, minimum=1)
ATTUNE_RECORD_NON_MATCHES = env.flag("ATTUNE_RECORD_NON_MATCHES")
ATTUNE_ARTIFACTS_DIR = Path(env.text("ATTUNE_ARTIFACTS_DIR", str(ATTUNE_DATA_DIR / "artifacts"))).absolute()
ATTUNE_ARTIFACT_MAX_MB = env.integer("ATTUNE_ARTIFACT_MAX_MB", 100, minimum=1)
ATTUNE_ARTIFACT_TOTAL_MB = env.integer("ATTUNE_ARTIFACT_TOTAL_MB", 500, minimum=1)
ATTUNE_ARTIFACT_FILES = env.integer("ATTUNE_ARTIFACT_FILES", 1000, minimum=1)
ATTUNE_ARTIFACT_DAYS = env.integer("ATTUNE_ARTIFACT_DAYS", 30, minimum=1)
ATTUNE_RETENTION = env.flag("ATTUNE_RETENTION", True)
ATTUNE_RETENTION_DAYS = env.integer("ATTUNE_RETENTION_DAYS", 30, minimum=1)
ATTUNE_RETENTION_AUDIT_DAYS = env.integer("ATTUNE_RETENTION_AUDIT_DAYS", 90, minimum=1)
ATTUNE_RABBITMQ_MANAGEMENT_URL = env.text("ATTUNE_RABBITMQ_MANAGEMENT_URL")
ATTUNE_FAULTS = faults.parse(env.text("ATTUNE_FAULTS"))

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the admin site is ours: identity.site
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "attune_project.identity.site.AttuneAdminConfig",
    "django.contrib.postgres",
    "django_celery_beat",
    "django_filters",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "attune_project.messaging",
    "attune_project.rest",
    "attune_project.identity",
    "attune_project.packs",
    "sensors",
    "executions",
    "rules",
    "attune_project.console",
    "attune_project.embedded",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "attune_project.rest.middleware.TraceMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "attune_project.urls"
ASGI_APPLICATION = "attune_project.asgi.application"
WSGI_APPLICATION = "attune_project.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # before the theme's: the banner stands on every page of the admin
        "DIRS": [BASE_DIR / "attune_project" / "console" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASE_URL = env.text("DATABASE_URL", "postgresql://attune@localhost:5432/attune")
# Plans are kept, so those of the services that poll must not be the ones for the empty tables of a start:
# such a service looks for few rows, by indexes.
KEPT_PLANS = "-c jit=off -c plan_cache_mode=force_generic_plan"
if current_service() in ("sensor", "executor", "worker", "notifier"):
    KEPT_PLANS += " -c enable_seqscan=off -c enable_bitmapscan=off"
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **env.database(DATABASE_URL),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "options": "-c search_path=attune,public -c lock_timeout=10s"
            " -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"
            f" {KEPT_PLANS}",
            "prepare_threshold": 0,  # for what asks for it: statements.py
            "application_name": f"attune-{current_service()}",
            "connect_timeout": 5,
            "keepalives": 1,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    }
}
if current_service() == "web":
    DATABASES["default"].update(CONN_MAX_AGE=0, CONN_HEALTH_CHECKS=False)
    # A pool that goes on trying in ever longer intervals would be the last to know that the database is back.
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1, "max_size": 20, "timeout": 3, "reconnect_timeout": 3,
    }  # fmt: skip
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = env.text("BROKER_URL", "amqp://guest:guest@localhost:5672//")

AUTH_USER_MODEL = "identity.Identity"
AUTHENTICATION_BACKENDS = ["attune_project.identity.backends.IdentityBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
ACCESS_TOKEN_LIFETIME = timedelta(seconds=env.integer("ATTUNE_ACCESS_TOKEN_SECONDS", 3600, minimum=1))
REFRESH_TOKEN_LIFETIME = timedelta(seconds=env.integer("ATTUNE_REFRESH_TOKEN_SECONDS", 604_800, minimum=1))
# Beyond the limit of a run, while it is being stopped.
ATTUNE_EXECUTION_TOKEN_SPARE_SECONDS = env.number("ATTUNE_EXECUTION_TOKEN_SPARE_SECONDS", 60, minimum=0)
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": ATTUNE_JWT_SECRET,
    "ACCESS_TOKEN_LIFETIME": ACCESS_TOKEN_LIFETIME,
    "REFRESH_TOKEN_LIFETIME": REFRESH_TOKEN_LIFETIME,
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = "attune_project.formats"
STATIC_URL = "static/"
STATIC_ROOT = (
    env.text("ATTUNE_STATIC_ROOT") or None
)  # absent: files are served from the packages they came in
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "attune_project.identity.authentication.BearerAuthentication",
        "attune_project.identity.authentication.BrowserSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["attune_project.identity.rbac.Granted"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "attune_project.rest.renderers.BrowsableRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["attune_project.rest.parsers.DocumentParser"],
    "DEFAULT_FILTER_BACKENDS": [
        "attune_project.identity.rbac.VisibleRows",
        "attune_project.rest.filters.Filters",
        "attune_project.rest.ordering.Ordering",
    ],
    "DEFAULT_PAGINATION_CLASS": "attune_project.rest.paging.EnvelopePagination",
    "DEFAULT_SCHEMA_CLASS": "attune_project.rest.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "attune_project.rest.errors.handle",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "URL_FORMAT_OVERRIDE": "format",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Attune",
    "DESCRIPTION": "Event-driven automation: events, rules, enforcements, executions.",
    "VERSION": VERSION,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [],  # the default one names each enum apart, and half of ours are called status
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
UNFOLD = {
    "SITE_TITLE": "Attune",
    "SITE_HEADER": "Attune",
    "SITE_SYMBOL": "bolt",
    "SHOW_HISTORY": False,
    "GLOBAL_CALLBACK": "attune_project.console.banner.admin_context",
    "SIDEBAR": {"navigation": "attune_project.console.sidebar.navigation"},
}
DJANGO_CELERY_BEAT_TZ_AWARE = True

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
    SECURE_SSL_REDIRECT = env.flag("ATTUNE_SSL_REDIRECT", True)
    SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOG_FORMAT = env.choice("ATTUNE_LOG_FORMAT", ("json", "console"), "json" if PRODUCTION else "console")
LOG_LEVEL = env.choice("ATTUNE_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
LOGGING_CONFIG = "attune_project.logs.configure"
LOGGING = {"level": LOG_LEVEL, "format": LOG_FORMAT, "broker": maybe_sanitize_url(BROKER_URL)}
