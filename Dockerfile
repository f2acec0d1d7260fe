# syntax=docker/dockerfile:1
# Builds the one image that web, worker, beat and migrate run from; each chooses its command.
FROM python:3.11-slim AS packages
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /build
COPY requirements/bootstrap.txt requirements/base.txt ./
RUN python -m venv /opt/installer \
    && /opt/installer/bin/pip install --no-cache-dir --require-hashes -r bootstrap.txt \
    && /opt/installer/bin/uv venv /opt/venv \
    && /opt/installer/bin/uv pip sync --no-cache --require-hashes --python /opt/venv/bin/python base.txt

FROM python:3.11-slim
# LightGBM's wheel needs the system's OpenMP runtime. Its version follows the base image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 decisioning \
    && useradd --system --uid 10001 --gid decisioning --home-dir /app --shell /usr/sbin/nologin decisioning \
    && install --directory --owner=decisioning --group=decisioning /var/lib/decisioning
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    DJANGO_SETTINGS_MODULE=decisioning.config.settings \
    DECISIONING_ENV=production \
    DECISIONING_STATE_DIR=/var/lib/decisioning
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY manage.py ./
COPY decisioning decisioning
COPY rules rules
COPY campaigns campaigns
# Collecting static files reads the settings, which insist on these; nothing is connected to, nothing is kept.
RUN SECRET_KEY=build ALLOWED_HOSTS=localhost \
    DATABASE_URL=postgresql://build@localhost/build REDIS_URL=redis://localhost/0 \
    CELERY_BROKER_URL=redis://localhost/1 python manage.py collectstatic --no-input
USER 10001:10001
VOLUME /var/lib/decisioning
EXPOSE 8000
# One process: the container engine scales and restarts. The web answers here; workers override the check.
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--respawn-failed-workers", "--respawn-interval", "1", "--workers-kill-timeout", "15", "decisioning.config.wsgi:application"]
