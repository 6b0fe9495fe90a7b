#!/bin/sh
# Asks the relay on this machine as an attacker past the tunnel would: it must believe no one. What Access itself does is
# seen at your own address, with `--edge https://…` and a browser.
exec node "$(dirname "$0")/../check/check.mjs" --edge http://127.0.0.1:4444 --relay http://127.0.0.1:4444 \
  --challenge bare --user "" "$@"
