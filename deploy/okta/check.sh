#!/bin/sh
# Asks the running deployment, as a client and as an attacker would. No one signs in at Okta by a script: do that with an
# MCP client, or by opening http://127.0.0.1:8080/_postern/sign-in in a browser.
exec node "$(dirname "$0")/../check/check.mjs" --edge http://127.0.0.1:8080 --relay http://127.0.0.1:4444 --user "" "$@"
