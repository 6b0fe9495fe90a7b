#!/bin/sh
# Asks the running deployment, as a client and as an attacker would. The relay has no port on the host; Linux reaches its address.
exec node "$(dirname "$0")/../check/check.mjs" --edge http://127.0.0.1:8080 --relay http://172.30.77.12:4444 "$@"
