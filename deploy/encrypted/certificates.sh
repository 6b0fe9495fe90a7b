#!/bin/sh
# An authority and one certificate for each program, into ./certs. For trying out and for a private network without an
# authority of its own; where you have one (cert-manager, Vault, step-ca), let it write these files instead.
set -eu
umask 077
mkdir -p certs
cd certs

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Postern private authority" \
  -keyout ca.key -out ca.pem 2>/dev/null

# name, alternative names, what it may be used for
issue() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  printf 'basicConstraints=critical,CA:FALSE\nsubjectAltName=%s\nextendedKeyUsage=%s\n' "$2" "$3" >"$1.cnf"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 -extfile "$1.cnf" -out "$1.pem" 2>/dev/null
  rm "$1.csr" "$1.cnf"
}
issue edge IP:127.0.0.1,DNS:localhost serverAuth
issue traefik DNS:traefik.internal clientAuth
issue forward-auth IP:127.0.0.1,DNS:forward-auth serverAuth
issue relay IP:127.0.0.1,DNS:relay serverAuth,clientAuth
issue mcp-server IP:127.0.0.1,DNS:mcp-server serverAuth
