"""Django's settings, read from the environment; docs/stack.md has the table of variables."""

import os
from pathlib import Path

from . import environment as env

# Read by LightGBM and scikit-learn when they are first imported, which is after this: a forked child hangs in them when
# its parent had used more than one OpenMP thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# "production" is the strict one and the default: forgetting the variable must not open anything.
ENVIRONMENT = env.text("DECISIONING_ENV", "production")
STRICT = ENVIRONMENT == "production"
DEBUG = False

SECRET_KEY = env.text("SECRET_KEY")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "" if STRICT else "localhost,127.0.0.1,[::1],testserver")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "decisioning.customers",
    "rules",
    "campaigns",
    "decisioning",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "decisioning.config.urls"
WSGI_APPLICATION = "decisioning.config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "decisioning" / "templates"],
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

DATABASES = {"default": env.database("DATABASE_URL")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text("REDIS_URL")

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if STRICT else None
STATICFILES_DIRS = [BASE_DIR / "decisioning" / "static"]
# The manifest is made when the image is built; demo and tests serve straight from the apps.
WHITENOISE_USE_FINDERS = not STRICT
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STRICT
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# A proxy that ends TLS says so in this header; without one set SECURE_SSL_REDIRECT=0.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if STRICT else None
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", STRICT)
# The container's health check comes from inside, without the proxy.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = env.whole("SECURE_HSTS_SECONDS", 31536000 if STRICT else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = STRICT
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = STRICT
X_FRAME_OPTIONS = "DENY"

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.whole("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Decisioning <no-reply@localhost>")

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Decisioning engine",
    "DESCRIPTION": "Send events, ask for decisions, report outcomes.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "APPEND_COMPONENTS": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
}

# Where a process keeps the last good snapshots, so that it can answer with everything else down.
STATE_DIR = Path(env.text("DECISIONING_STATE_DIR", str(BASE_DIR / ".run" / "state")))
# Where the event log and the frame of all customers lie as Parquet files: a folder, or s3://bucket/folder.
ARCHIVE_URL = env.text("ARCHIVE_URL", str(STATE_DIR / "archive"))
# The demo's data ends with 2017; its clock is set back by so many seconds (a negative number).
CLOCK_OFFSET = env.whole("DECISIONING_CLOCK_OFFSET", 0)
# The hours and days of facts are those of this zone.
FACTS_TIME_ZONE = env.text("FACTS_TIME_ZONE", "UTC")
# Where the demo's mail server keeps what it received; only `manage.py smoke` looks.
MAIL_DIR = env.text("DECISIONING_MAIL_DIR", "")
# The demo shop under /demo/, where anybody can become any customer: never in production.
DEMO_SHOP = env.flag("DEMO_SHOP", False) and not STRICT
# For how many whole months decisions and their outcomes are kept, 0 for ever; what they add up to stays.
LEDGER_MONTHS = env.whole("LEDGER_MONTHS", 0)
# Facts whose groups (of age, of gender …) a scorer must treat alike before it is put to work, with commas.
SENSITIVE_FACTS = env.words("SENSITIVE_FACTS")
# More words whose categories and brands no customer is told, and whether any are told at all.
CAREFUL_WORDS = env.words("CAREFUL_WORDS")
TELL_VALUES = env.flag("TELL_VALUES", True)
# A new scorer is trained at least so often, besides drift and many new outcomes.
RETRAIN_HOURS = env.fraction("RETRAIN_HOURS", 24)
# What is foretold of every customer, and for how many days, with commas: churn:30,repurchase:30,value:90.
FORETOLD = env.words("FORETOLD", "churn:30,repurchase:30,value:90")
MANAGERS = [("", address) for address in env.words("ALERT_EMAILS")]
# How long an identical request may be answered from Redis.
REPLY_CACHE_SECONDS = env.whole("REPLY_CACHE_SECONDS", 5)
# How long a decision waits for Redis before it goes on without what lies there.
REDIS_DEADLINE_SECONDS = env.fraction("REDIS_DEADLINE_SECONDS", 0.03)
# The same for a decision of many customers at once, for each thousand of them.
REDIS_BATCH_DEADLINE_SECONDS = env.fraction("REDIS_BATCH_DEADLINE_SECONDS", 2.0)
# Events a second that one API key may send to one process, 0 for no limit; and how long storing them may take.
INTAKE_EVENTS_PER_SECOND = env.whole("INTAKE_EVENTS_PER_SECOND", 0)
INTAKE_DEADLINE_SECONDS = env.fraction("INTAKE_DEADLINE_SECONDS", 0.8)
# Where customers are: headers that a proxy of ours sets, and the user's own MaxMind file. Off by default: without such
# a proxy anybody can send these headers.
GEO_COUNTRY_HEADER = env.text("GEO_COUNTRY_HEADER", "")
GEO_REGION_HEADER = env.text("GEO_REGION_HEADER", "")
GEO_CITY_HEADER = env.text("GEO_CITY_HEADER", "")
GEO_DATABASE = env.text("GEO_DATABASE", "")
# How many proxies in front of us add to X-Forwarded-For; 0: whoever is connected is the client.
TRUSTED_PROXIES = env.whole("TRUSTED_PROXIES", 0)
PUBLIC_URL = env.text("PUBLIC_URL", "http://localhost:8000").rstrip("/")
# Hosts and networks that webhooks may call although they are not on the public internet.
WEBHOOK_PRIVATE_HOSTS = env.words("WEBHOOK_PRIVATE_HOSTS")

UNFOLD = {
    "SITE_TITLE": "Decisioning",
    "SITE_HEADER": "Decisioning engine",
    "SITE_SYMBOL": "account_tree",
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "decisioning.admin.environment_label",
    "DASHBOARD_CALLBACK": "decisioning.admin.dashboard",
    "SIDEBAR": {"navigation": "decisioning.admin.navigation"},
    "STYLES": ["decisioning.admin.stylesheet"],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "decisioning.admin.icon"}],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
}
