#!/usr/bin/env bash
# From a bare pod to a working worker, in one command that can be run again at any time:
#
#   git clone <this repository> /workspace/estilista && /workspace/estilista/devops/runpod/deploy.sh
#
# What is slow to make (virtual environment, weights, compiled kernels) is kept on the volume, so a
# second start takes seconds. Settings come from the environment, as README.md lists them; nothing
# of them is printed. No port is opened: the worker only calls out.
#
#   VOLUME         where things are kept                            (/workspace)
#   PYTHON         which Python makes the virtual environment       (python3)
#   RESTARTS_MAX   crashes in a row after which this gives up       (8)
#   STEADY_SECONDS a worker that lived this long did not crash at the start  (300)
#   ALLOW_CPU      1: a photoreal engine may run without a GPU, far too slow for clients: a rehearsal
#   SKIP_DOCTOR    1: start without asking `python -m worker.doctor`
#   BACKOFF_SECONDS pause after the first crash; doubles up to a minute      (1)
#
# Exit: 0 after SIGTERM or SIGINT, with the job handed back; else not 0, and the last line says why.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
VOLUME=${VOLUME:-/workspace}
PYTHON=${PYTHON:-python3}
RESTARTS_MAX=${RESTARTS_MAX:-8}
STEADY_SECONDS=${STEADY_SECONDS:-300}
BACKOFF_SECONDS=${BACKOFF_SECONDS:-1}
BACKOFF_SECONDS_MAX=60

# The settings' own defaults would put these on the pod's own disk, which a restart wipes.
export DATA_DIR=${DATA_DIR:-$VOLUME/data}
export WEIGHTS_DIR=${WEIGHTS_DIR:-${HF_HOME:-$VOLUME}/weights}
export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$VOLUME/cache/inductor}
export TRITON_CACHE_DIR=${TRITON_CACHE_DIR:-$VOLUME/cache/triton}
export PIP_CACHE_DIR=${PIP_CACHE_DIR:-$VOLUME/cache/pip}
export PYTORCH_ALLOC_CONF=${PYTORCH_ALLOC_CONF:-expandable_segments:True} # no memory lost in gaps
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1

stopping=
interrupted=
child=

main() {
  trap stop TERM INT
  require_settings
  prepare
  keep_working
}

stop() {
  stopping=1
  interrupted=1
  if [[ -n $child ]]; then
    kill -TERM "$child" 2>/dev/null || true
  fi
}

say() {
  printf '%(%FT%TZ)T deploy: %s\n' -1 "$*"
}

# By name only: a value would end in the pod's log. An embedded database would be nobody's queue.
require_settings() {
  if [[ -z ${DATABASE_URL:-} && ! -f .env ]]; then
    say "DATABASE_URL is not set: this worker would have no queue" >&2
    exit 2
  fi
}

# Several pods may share one volume: one prepares it, the others wait and then find it done.
prepare() {
  local engine ask='from models.settings import settings; print(settings().chosen_final_engine)'
  mkdir -p "$VOLUME" "$WEIGHTS_DIR" "$DATA_DIR"
  exec 9>"$VOLUME/deploy.lock"
  run flock 9
  install requirements.txt
  engine=$("$VENV/bin/python" -c "$ask")
  if [[ $engine == sdxl_* ]]; then
    install requirements-gpu.txt
    fetch_weights "$engine"
  fi
  if [[ -n ${C2PA_CERTIFICATE:-} ]]; then
    install requirements-c2pa.txt
  fi
  exec 9>&-
  if [[ -z ${SKIP_DOCTOR:-} ]]; then
    run "$VENV/bin/python" -m worker.doctor ${ALLOW_CPU:+--allow-cpu}
  fi
  say "ready after $SECONDS s, final engine $engine"
}

# One environment per set of pins and Python: going back to an older release finds its own again.
venv_of_these_pins() {
  local pins lists=(requirements.txt requirements-gpu.txt requirements-c2pa.txt)
  pins=$({ cat "${lists[@]}" && "$PYTHON" --version; } | sha256sum)
  printf '%s/venv-%.12s\n' "$VOLUME" "$pins"
}

install() {
  local installed=$VENV/installed-$1
  if [[ -f $installed ]]; then
    return
  fi
  if [[ ! -x $VENV/bin/python ]]; then
    say "making $VENV"
    run "$PYTHON" -m venv "$VENV"
  fi
  say "installing $1"
  run "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$1"
  touch "$installed" # only now: a pod that died in mid-install begins again
}

# Every byte is read once per manifest and engine; after that, what looks untouched is believed.
fetch_weights() {
  local manifest verified
  manifest=$(sha256sum "${WEIGHTS_MANIFEST:-assets/weights.toml}")
  verified=$WEIGHTS_DIR/verified-$1-${manifest:0:12}
  say "pulling weights of $1"
  run "$VENV/bin/python" -m worker.weights pull
  if [[ ! -f $verified ]]; then
    run "$VENV/bin/python" -m worker.weights verify
    touch "$verified"
  fi
}

# Run to the end, or end here: told to stop (0), or because it failed.
run() {
  local status=0
  attend "$@" || status=$?
  if [[ -n $stopping ]]; then
    say "told to stop"
    exit 0
  fi
  if ((status != 0)); then
    say "failed with $status: ${*:1:4}" >&2
    exit "$status"
  fi
}

# In the background, so that a signal is handled at once and passed on; the status is the child's.
# `wait` also returns when a signal was handled: then the child is waited for again.
attend() {
  local status
  if [[ -n $stopping ]]; then
    return 0
  fi
  "$@" &
  child=$!
  if [[ -n $stopping ]]; then # between the two lines above
    kill -TERM "$child" 2>/dev/null || true
  fi
  while true; do
    interrupted=
    status=0
    wait "$child" || status=$?
    if [[ -z $interrupted ]]; then
      child=
      return "$status"
    fi
  done
}

keep_working() {
  local crashes=0 started status pause
  while true; do
    started=$SECONDS
    status=0
    attend "$VENV/bin/python" -m worker || status=$?
    if [[ -n $stopping ]]; then
      say "stopped, the worker ended with $status"
      exit "$status"
    fi
    if ((SECONDS - started >= STEADY_SECONDS)); then
      crashes=0
    fi
    crashes=$((crashes + 1))
    if ((crashes > RESTARTS_MAX)); then
      say "gave up: the worker ended $crashes times in a row, last with $status" >&2
      exit 1
    fi
    pause=$((crashes < 7 ? BACKOFF_SECONDS * 2 ** (crashes - 1) : BACKOFF_SECONDS_MAX))
    pause=$((pause < BACKOFF_SECONDS_MAX ? pause : BACKOFF_SECONDS_MAX))
    say "the worker ended with $status; starting again in $pause s"
    run sleep "$pause"
  done
}

VENV=$(venv_of_these_pins)
main
