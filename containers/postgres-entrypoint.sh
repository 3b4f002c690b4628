#!/bin/bash
# The entry point of the stand-in for PostgreSQL's image: as much of the official one's contract as docker-compose.yml uses.
# POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_INITDB_ARGS, PGDATA and the scripts in
# /docker-entrypoint-initdb.d apply when the data folder is still empty.
set -euo pipefail

case ${1:-postgres} in -*) set -- postgres "$@" ;; esac
if [ "$1" != postgres ] || [ -s "$PGDATA/PG_VERSION" ]; then exec "$@"; fi

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    password=$(cat "$POSTGRES_PASSWORD_FILE")
else
    password=${POSTGRES_PASSWORD:?is not set, and a superuser without a password is none}
fi
chmod 700 "$PGDATA" || true
# The words are meant to be split.
# shellcheck disable=SC2086
initdb --username="$user" --pwfile=<(printf '%s\n' "$password") ${POSTGRES_INITDB_ARGS:-}
printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"

# On its socket alone until everything is there.
pg_ctl --pgdata="$PGDATA" -o "-c listen_addresses=''" --wait start
ask() { PGPASSWORD=$password psql --no-psqlrc --no-password --set ON_ERROR_STOP=1 --username "$user" "$@"; }
[ "$database" = postgres ] || ask --dbname postgres --set name="$database" <<<'CREATE DATABASE :"name"'
for file in /docker-entrypoint-initdb.d/*; do
    case $file in
        *.sql)
            printf 'running %s\n' "$file"
            ask --dbname "$database" --file "$file"
            ;;
        *.sh) . "$file" ;;
        *) printf 'ignoring %s\n' "$file" ;;
    esac
done
pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
unset password PGPASSWORD
exec "$@"
