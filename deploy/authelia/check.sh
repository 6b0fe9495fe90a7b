#!/bin/sh
# Asks the running deployment, as a client and as an attacker would. Name and password go with each request.
here=$(dirname "$0")
NODE_EXTRA_CA_CERTS="$here/certs/edge.pem" exec node "$here/../check/check.mjs" --edge https://127.0.0.1:8443 \
  --relay http://127.0.0.1:4444 --challenge bare --session basic "$@"
