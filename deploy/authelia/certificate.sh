#!/bin/sh
# A certificate for 127.0.0.1, into ./certs. FOR A FIRST LOOK: in its place put one for your own name.
set -eu
cd "$(dirname "$0")"
mkdir -p certs
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=127.0.0.1" \
  -addext subjectAltName=IP:127.0.0.1 -keyout certs/edge.key -out certs/edge.pem 2>/dev/null
# Traefik's container has no capability to read another user's file.
chmod 644 certs/edge.key certs/edge.pem
