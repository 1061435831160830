#!/usr/bin/env bash
# Proves that a backup can be restored: into a new database, which is dropped afterwards.
#
#   DATABASE_URL=… devops/restore_drill.sh [DUMP]        (DUMP: the newest in ./backups)
#
# DATABASE_URL names the server; its role must be allowed to create databases. The database in it is
# only read. Exit 0 when every table has as many rows as it had when the backup was made.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DUMPS=(backups/estilista-*.dump) # by name, so by time
DUMP=${1:-${DUMPS[-1]}}
DRILL=restore_drill_$$

main() {
  local variables
  if [[ ! -f $DUMP ]]; then
    echo "there is no backup $DUMP" >&2
    exit 2
  fi
  variables=$(python3 "$HERE/postgres_environment.py")
  eval "$variables"
  (cd "$(dirname "$DUMP")" && sha256sum --check --quiet "$(basename "${DUMP%.dump}").sha256")
  trap 'dropdb --if-exists --force "$DRILL"' EXIT
  createdb "$DRILL"
  pg_restore --exit-on-error --no-owner --no-privileges --dbname="$DRILL" "$DUMP"
  compare
}

compare() {
  local restored
  restored=$(psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 \
    --dbname="$DRILL" --file="$HERE/count_rows.sql")
  if ! diff "${DUMP%.dump}.counts" - <<<"$restored"; then
    echo "NOT THE SAME: left as backed up, right as restored" >&2
    exit 1
  fi
  awk -F'|' '{ rows += $2 } END { printf "restored %d tables, %d rows, all there\n", NR, rows }' \
    <<<"$restored"
}

main
