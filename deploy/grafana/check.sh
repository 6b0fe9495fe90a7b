#!/bin/sh
# Asks the running deployment, as a client and as an attacker would: the MCP server, and then Grafana.
here=$(dirname "$0")
node "$here/../check/check.mjs" --edge http://127.0.0.1:8080 --relay http://127.0.0.1:4444 "$@" && exec node "$here/check.mjs"
