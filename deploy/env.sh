#!/bin/sh
# Called in a folder of deploy/: writes the folder's .env, which Compose reads by itself, with a new secret for each variable
# that its compose file names, and client-secret where the folder has its own provider. What is there already stays.
set -eu
here=$(dirname "$0")
umask 077
touch .env
for name in POSTERN_RELAY_TRUST_SECRET $(cat compose.yaml ../*.compose.yaml 2> /dev/null | grep -o '\${[A-Z0-9_]*}' | tr -d '${}' | sort -u); do
  # Its value comes with an account, and cannot be made up.
  [ "$name" = TUNNEL_TOKEN ] && continue
  grep -q "^$name=." .env && continue
  # An empty one is none.
  { grep -v "^$name=" .env || true; echo "$name=$(openssl rand -base64 32 | tr '+/' '-_')"; } > .env.new
  mv .env.new .env
done
provider=$(sed -nE 's/^(DEX|KEYCLOAK)_CLIENT_SECRET=//p' .env)
if [ -n "$provider" ] && [ ! -e client-secret ]; then printf %s "$provider" > client-secret; fi
# Containers read the folder as users of their own. A checkout with umask 077 keeps them out.
if [ -e client-secret ]; then chmod 644 client-secret; fi
closed=
for path in . ./* "$here/example" "$here"/example/*; do
  case $(ls -ld "$path") in
    ???????r*) ;;
    *) closed="$closed $path" ;;
  esac
done
if [ -n "$closed" ]; then
  # Not all below them: .env stays its owner's.
  echo "env.sh: others cannot read$closed, and no container can: chmod go+rX$closed" >&2
  exit 1
fi
