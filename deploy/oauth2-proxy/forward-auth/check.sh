#!/bin/sh
# Asks the running deployment, as a client and as an attacker would.
exec node "$(dirname "$0")/../../check/check.mjs" --edge http://127.0.0.1:8080 --relay http://127.0.0.1:4444 \
  --challenge bare --session /oauth2/start --user alice@example.com --password alice --outsider "" "$@"
