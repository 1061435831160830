#!/usr/bin/env bash
# Builds the images and brings compose.yaml up where no registry can be reached: what they take from
# one is stood in for by images of the same names made of Debian's packages (stand-ins/). It tries
# our own lines, not the published images. As root on Debian, with a Docker that is nobody else's:
#   apt install docker.io docker-compose docker-buildx mmdebstrap curl jq openssl
#   devops/docker/rehearse.sh [build | run | clean]     without an argument: one after the other
# build needs a network, run none. IMAGES="api worker-cpu worker-gpu" builds the GPU worker's too.
set -euo pipefail
cd "$(dirname "$0")/../.."

IMAGES=${IMAGES:-api worker-cpu}
WORK=${WORK:-/tmp/rehearsal}
HOUSE=house.example
PASSWORD=rehearsal-only
export VERSION=rehearsal

say() { printf '%s  %s\n' "$(date -u +%T)" "$*"; }
fail() {
    say "FAILED: $*" >&2
    exit 1
}
published() { sed -n "s/^    image: \(.*$1:.*\)/\1/p" devops/compose.yaml; }
compose() {
    docker compose --project-name rehearsal --file devops/compose.yaml --env-file "$WORK/env" "$@"
}

# --- build ----------------------------------------------------------------------------------------

debian() { # SUITE
    docker image inspect "stand-in/debian:$1" > /dev/null 2>&1 && return
    say "Debian $1"
    # shellcheck disable=SC2016 # mmdebstrap says what $1 is
    mmdebstrap --quiet --variant=minbase --include=ca-certificates \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --aptopt='Acquire::Check-Valid-Until "false"' `# a mirror may stand still` \
        --customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"' \
        "$1" "$WORK/debian.tar"
    docker import "$WORK/debian.tar" "stand-in/debian:$1" > /dev/null
    rm "$WORK/debian.tar"
}

stand_in() { # STAGE NAME
    local stage
    stage=$(docker image inspect --format '{{.Config.Labels.stand_in}}' "$2" 2> /dev/null || true)
    [ "${stage:-$1}" = "$1" ] || fail "there is a $2 already, and not of ours"
    say "$2, stood in for"
    docker build --quiet --network=host --target="$1" --label="stand_in=$1" --tag="$2" \
        devops/docker/stand-ins
}

base() { sed -n 's/^FROM \(.*\) AS build$/\1/p' devops/docker/api.Dockerfile; }

build() {
    mkdir -p "$WORK"
    for suite in bookworm trixie sid; do debian "$suite"; done
    stand_in python "$(base)"
    stand_in postgres "$(published postgres)"
    stand_in nginx "$(published nginx-unprivileged)"
    stand_in prometheus "$(published prometheus)"
    for image in $IMAGES; do
        say "$image"
        docker build --quiet --network=host --file="devops/docker/$image.Dockerfile" \
            --tag="estilista-$image:$VERSION" .
    done
    docker images
}

# --- run ------------------------------------------------------------------------------------------

settle() { # what an operator would have: .env, a certificate, an empty file for the token
    install -d -m 755 "$WORK/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj "/CN=$HOUSE" -addext "subjectAltName=DNS:$HOUSE" \
        -keyout "$WORK/tls/privkey.pem" -out "$WORK/tls/fullchain.pem" 2> /dev/null
    chmod 644 "$WORK/tls/privkey.pem"
    : > "$WORK/metrics-token"
    cat > "$WORK/env" << EOF
POSTGRES_PASSWORD=$(openssl rand -hex 24)
JWT_SECRET=$(openssl rand -hex 24)
ADMIN_PASSWORD=$PASSWORD
GRAFANA_PASSWORD=$PASSWORD
PUBLIC_BASE_URL=https://$HOUSE
TLS_DIR=$WORK/tls
METRICS_TOKEN_FILE=$WORK/metrics-token
QUEUE_CAP=77
EOF
}

ask() { # PATH [CURL'S OPTIONS]: of the API, through nginx
    local path=$1
    shift
    curl --silent --show-error --fail --cacert "$WORK/tls/fullchain.pem" --noproxy '*' \
        --resolve "$HOUSE:443:127.0.0.1" "$@" "https://$HOUSE$path"
}

order() { # one suit, to the last byte of its picture
    local token color id answer image
    token=$(ask /auth/token --form username=owner --form "password=$PASSWORD" | jq -r .access_token)
    color=$(ask /catalog -H "Authorization: Bearer $token" | jq -r '.families[0].colors[0].color_id')
    id=$(ask /api/v1/generations -H "Authorization: Bearer $token" -H "Idempotency-Key: $(uuid)" \
        --json "{\"color_id\": \"$color\", \"cuts\": [\"recto\"]}" | jq -r .id)
    for _ in $(seq 300); do
        answer=$(ask "/api/v1/generations/$id" -H "Authorization: Bearer $token")
        [ "$(jq -r .status <<< "$answer")" = completed ] && break
        sleep 0.2
    done
    image=$(jq -r '.images[-1].url' <<< "$answer")
    ask "${image#https://"$HOUSE"}" --output "$WORK/suit.jpg"
    [ "$(head -c 3 "$WORK/suit.jpg" | od -An -tx1)" = " ff d8 ff" ] || fail "no picture: $answer"
    say "ordered, drawn, fetched: $(stat -c %s "$WORK/suit.jpg") bytes of $color"
}
uuid() { cat /proc/sys/kernel/random/uuid; }

container() { compose ps --all --quiet "$1"; }
state() { docker inspect --format "$2" "$(container "$1")"; }

held_down() { # no capability, none to be had, and nothing written but in the volume
    local service status
    for service in api worker nginx; do
        status=$(compose exec -T "$service" grep -E '^(CapEff|CapBnd|NoNewPrivs|Uid)' /proc/1/status)
        grep -q 'CapEff:.0000000000000000' <<< "$status" || fail "$service: $status"
        grep -q 'CapBnd:.0000000000000000' <<< "$status" || fail "$service: $status"
        grep -q 'NoNewPrivs:.1' <<< "$status" || fail "$service: $status"
        grep -Eq 'Uid:.0' <<< "$status" && fail "$service runs as root"
    done
    for service in api worker; do
        [ -z "$(docker diff "$(container "$service")")" ] || fail "$service wrote outside its volume"
    done
    [ -z "$(compose exec -T worker find /var/lib/estilista ! -user 10001 -o ! -group 10001)" ] \
        || fail "the volume holds files of others"
    say "held down; $(compose exec -T worker find /var/lib/estilista -type f | wc -l) files in the volume"
}

unwell() { # where no service runs, its own health check says so
    local service check
    for service in api worker; do
        mapfile -t check < <(docker inspect --format '{{json .Config.Healthcheck.Test}}' \
            "$(container "$service")" | jq -r '.[1:][]')
        compose exec -T "$service" "${check[@]}" > /dev/null || fail "$service: not well"
        compose run --rm --no-deps "$service" "${check[@]}" > /dev/null 2>&1 \
            && fail "$service: well without a service"
    done
    say "health checks: 0 beside the service, not 0 without it"
}

elsewhere() { # the API comes back under another address; nginx finds it
    local before
    before=$(state api '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
    compose stop api > /dev/null 2>&1
    docker run --detach --rm --name rehearsal-squatter --network rehearsal_inside \
        "estilista-api:$VERSION" sleep 120 > /dev/null
    compose up --detach --no-deps --no-build --wait api > /dev/null 2>&1
    say "the API was at $before, is at $(state api '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')"
    for _ in $(seq 60); do
        ask /livez > /dev/null 2>&1 && break
        sleep 0.5
    done
    ask /livez > /dev/null || fail "nginx did not find the API again"
    docker kill rehearsal-squatter > /dev/null
}

stop() { # each within its grace, by itself
    local service before
    for service in worker api; do
        before=$(date +%s%N)
        compose stop "$service" > /dev/null 2>&1
        say "$service stopped in $((($(date +%s%N) - before) / 1000000)) ms, exit code $(state "$service" '{{.State.ExitCode}}')"
        [ "$(state "$service" '{{.State.ExitCode}}')" = 137 ] && fail "$service had to be killed"
    done
    return 0
}

clean_inside() { # what is in the images that should not be
    local image found
    for image in $IMAGES; do
        found=$(docker run --rm --network=none --user 0 "estilista-$image:$VERSION" find /srv /home \
            /var/lib/estilista \( -name '.git*' -o -name '.env*' -o -name __pycache__ -o -name tests \
            -o -user estilista -path '/srv/*' \))
        [ -z "$found" ] || fail "$image holds $found"
    done
    say "no repository, no tests, no caches, nothing writable among the code"
}

run() {
    trap 'compose logs --tail 20 || true; compose down --volumes --timeout 5 || true' EXIT
    settle
    compose config --quiet
    compose up --detach --no-build --wait nginx worker prometheus
    compose up --detach --no-build sweep # it has no health to wait for
    order
    held_down
    unwell
    elsewhere
    order
    clean_inside
    stop
    trap - EXIT
    compose down --volumes --timeout 5
    say "rehearsed"
}

# --- clean ----------------------------------------------------------------------------------------

clean() {
    local image
    for image in $IMAGES; do docker rmi --force "estilista-$image:$VERSION"; done
    docker rmi --force "$(base)" "$(published postgres)" "$(published nginx-unprivileged)" \
        "$(published prometheus)" stand-in/debian:{bookworm,trixie,sid}
    rm -rf "$WORK"
}

if [ $# -eq 0 ]; then
    build
    run
    clean
else
    "$1"
fi
