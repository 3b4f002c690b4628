#!/bin/bash
# The entry point of the stand-in for pgAdmin's image: as much of the official one's contract as docker-compose.yml uses.
# PGADMIN_DEFAULT_EMAIL, PGADMIN_DEFAULT_PASSWORD or PGADMIN_DEFAULT_PASSWORD_FILE, PGADMIN_LISTEN_PORT, and the servers in
# /pgadmin4/servers.json apply at the first start.
set -euo pipefail

data=/var/lib/pgadmin
package=$(echo /venv/lib/python3*/site-packages/pgadmin4)
cd "$package"
if ! [ -f "$data/pgadmin4.db" ]; then
    if [ -n "${PGADMIN_DEFAULT_PASSWORD_FILE:-}" ]; then
        PGADMIN_DEFAULT_PASSWORD=$(cat "$PGADMIN_DEFAULT_PASSWORD_FILE")
    fi
    export PGADMIN_SETUP_EMAIL=${PGADMIN_DEFAULT_EMAIL:?is not set}
    export PGADMIN_SETUP_PASSWORD=${PGADMIN_DEFAULT_PASSWORD:?is not set}
    python3 setup.py setup-db
    [ ! -f /pgadmin4/servers.json ] || python3 setup.py load-servers /pgadmin4/servers.json --user "$PGADMIN_DEFAULT_EMAIL"
    unset PGADMIN_SETUP_PASSWORD PGADMIN_DEFAULT_PASSWORD
fi
exec gunicorn --bind "0.0.0.0:${PGADMIN_LISTEN_PORT:-80}" --workers 1 --threads 25 --timeout 86400 --worker-tmp-dir /tmp \
    --access-logfile - pgAdmin4:app
