#!/usr/bin/env bash
# Backs up the database: a dump, how many rows each table had in that same moment, and checksums.
#
#   DATABASE_URL=… devops/backup.sh [FOLDER]        (FOLDER: ./backups)
#
# Safe while everything runs. pg_dump must not be older than the server. Pictures are not in it:
# they lie in the bucket, which keeps them by itself. KEEP_DAYS (14): older dumps are deleted.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
FOLDER=${1:-backups}
KEEP_DAYS=${KEEP_DAYS:-14}
NAME=estilista-$(date -u +%Y%m%dT%H%M%SZ)-$$

main() {
  local variables
  variables=$(python3 "$HERE/postgres_environment.py")
  eval "$variables"
  umask 077 # clients' orders are nobody else's business
  mkdir -p "$FOLDER"
  WORK=$(mktemp -d "$FOLDER/.unfinished-XXXXXX")
  trap 'rm -rf "$WORK"' EXIT
  dump
  mv "$WORK"/* "$FOLDER"/
  find "$FOLDER" -maxdepth 1 -name 'estilista-*' -mtime "+$KEEP_DAYS" -delete
  echo "$FOLDER/$NAME.dump"
}

# The dump and the counts see the same snapshot, which lives as long as the session that exported it.
dump() {
  local snapshot
  coproc SESSION { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1; }
  local answers=${SESSION[0]} questions=${SESSION[1]} session=$SESSION_PID
  echo 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();' >&"$questions"
  read -r snapshot <&"$answers"
  pg_dump --format=custom --no-owner --no-privileges --snapshot="$snapshot" \
    --file="$WORK/$NAME.dump"
  cat "$HERE/count_rows.sql" >&"$questions"
  echo '\q' >&"$questions"
  cat <&"$answers" >"$WORK/$NAME.counts"
  wait "$session"
  (cd "$WORK" && sha256sum "$NAME.dump" "$NAME.counts" >"$NAME.sha256")
}

main
