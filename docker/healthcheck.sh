#!/usr/bin/env bash
# Whether every model of models.config has a version that is AVAILABLE. The server's image has bash, but not curl.
# Arguments, for tests: the configuration, and the REST port.
set -u
config=${1:-/models/models.config}
port=${2:-8501}

names=$(sed -n 's/^ *name: *"\([^"]*\)".*/\1/p' "$config")
if [ -z "$names" ]; then
    echo "no model in $config"
    exit 1
fi
for name in $names; do
    if ! exec 3<>"/dev/tcp/127.0.0.1/$port"; then
        echo "nothing answers at port $port"
        exit 1
    fi
    printf 'GET /v1/models/%s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$name" >&3
    if ! timeout 5 cat <&3 | grep -q '"state": "AVAILABLE"'; then
        echo "$name is not available"
        exit 1
    fi
    exec 3>&-
done
