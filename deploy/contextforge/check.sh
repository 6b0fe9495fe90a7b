#!/bin/sh
# Tells ContextForge what it must know, then asks the running deployment, as a client and as an attacker would.
here=$(dirname "$0")
if [ -f "$here/.env" ]; then set -a && . "$here/.env" && set +a; fi
node "$here/prepare.mjs" &&
  node "$here/../check/check.mjs" --edge http://127.0.0.1:8080 --relay http://127.0.0.1:4444 "$@" &&
  exec node "$here/check.mjs"
