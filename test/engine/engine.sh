#!/usr/bin/env bash
# A Docker Engine with Compose and the images that deploy/ names, for the tests:
#   engine.sh start   prints `NAME=value` lines of the environment in which `docker` and `docker compose` work
#   engine.sh stop    ends the engine that `start` began, if it did
# Where an engine answers and a registry serves it, everything is pulled. Otherwise an engine is started (as root; apt's
# docker.io), Compose is built by Go, and the images are built from what apt, npm, PyPI and Go have, each with the entry point
# and the user of the image whose name it bears. What was made stays in .cache and in the engine's own folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
cache=$(cd "$project" && mkdir -p .cache && cd .cache && pwd -P)
engine=$cache/engine
node_image=$(sed -n 's/^ARG NODE=//p' "$project/Dockerfile")
export DOCKER_BUILDKIT=0 DOCKER_CLI_HINTS=false

say() { echo "engine: $*" >&2; }

start() {
  mkdir -p "$engine"
  exec 9> "$engine/lock" && flock 9
  docker info > /dev/null 2>&1 || own_engine
  docker compose version > /dev/null 2>&1 || own_compose
  registry_serves || build_images
  build_postern
  echo "DOCKER_HOST=${DOCKER_HOST:-unix:///var/run/docker.sock}"
  if [ -n "${DOCKER_CONFIG:-}" ]; then echo "DOCKER_CONFIG=$DOCKER_CONFIG"; fi
}

own_engine() {
  # A path of a socket is short.
  export DOCKER_HOST=unix:///run/postern-test-engine.sock
  docker info > /dev/null 2>&1 && return
  command -v dockerd > /dev/null || { say "no engine answers, and there is no dockerd to start (Debian: docker.io)"; exit 1; }
  [ "$(id -u)" = 0 ] || { say "no engine answers, and only root can start one"; exit 1; }
  rm -f "$engine/docker.pid"
  iptables-save > "$engine/iptables.before" 2> /dev/null || true
  setsid dockerd --data-root "$engine/data" --exec-root /run/postern-test-engine -H "$DOCKER_HOST" \
    --pidfile "$engine/docker.pid" > "$engine/dockerd.log" 2>&1 9>&- < /dev/null &
  for _ in $(seq 60); do docker info > /dev/null 2>&1 && fair_share && return; sleep 0.5; done
  say "dockerd does not start:"; tail -n 20 "$engine/dockerd.log" >&2
  exit 1
}

# All containers together count as one process beside the tests, which starves them on a busy machine: as much as six here.
fair_share() {
  mkdir -p /sys/fs/cgroup/cpu/docker 2> /dev/null && echo 6144 > /sys/fs/cgroup/cpu/docker/cpu.shares 2> /dev/null || true
}

stop() {
  [ -f "$engine/docker.pid" ] || return 0
  pid=$(cat "$engine/docker.pid")
  kill "$pid" 2> /dev/null || true
  for _ in $(seq 60); do kill -0 "$pid" 2> /dev/null || break; sleep 0.5; done
  rm -f "$engine/docker.pid"
  # Its chains and its bridge stay behind.
  if [ -f "$engine/iptables.before" ]; then iptables-restore < "$engine/iptables.before" || true; fi
  ip link delete docker0 2> /dev/null || true
}

own_compose() {
  local plugin=$cache/programs/docker-compose
  if [ ! -x "$plugin" ]; then
    say "building Compose, which takes some minutes"
    (cd "$here/compose" && GOFLAGS=-modcacherw GOMODCACHE=$cache/go/mod CGO_ENABLED=0 \
      go build -trimpath -ldflags='-s -w' -o "$plugin.new" github.com/docker/compose/v2/cmd) >&2
    mv "$plugin.new" "$plugin"
  fi
  export DOCKER_CONFIG=$engine/config
  mkdir -p "$DOCKER_CONFIG/cli-plugins" && ln -sf "$plugin" "$DOCKER_CONFIG/cli-plugins/docker-compose"
}

# Every image of a compose file but our own, and those that the proxies' suites start.
named_images() {
  {
    cat "$project"/deploy/*/*compose.yaml "$project"/deploy/*/*/compose.yaml | sed -nE 's/^ *image: *//p' | grep -v '^postern:'
    sed -nE "s/.*\bimage: '([^']+)'.*/\1/p" "$project/test/support/programs.ts"
  } | sort -u
}

registry_serves() {
  [ -f "$engine/built" ] && return 1
  timeout 60 docker pull -q "$node_image" > /dev/null 2>&1 || return 1
  named_images | xargs -n 1 -P 4 docker pull -q >&2
}

# What a Dockerfile and its folder say decides whether an image is made again.
build_image() {
  local tag=$1 name=$2 context=$3
  shift 3
  local mark
  mark=$(cat "$here/images/$name.Dockerfile" "$here/images/debian.Dockerfile" | sha256sum | cut -c 1-12)
  [ "$(docker image inspect -f '{{index .Config.Labels "postern.test"}}' "$tag" 2> /dev/null)" = "$mark" ] && return
  say "building $tag"
  docker build -q --network host --label "postern.test=$mark" -t "$tag" "$@" -f "$here/images/$name.Dockerfile" "$context" \
    > "$engine/build.log" 2>&1 || { tail -n 20 "$engine/build.log" >&2; exit 1; }
}

build_images() {
  local make=$engine/make
  mkdir -p "$make/none"
  touch "$engine/built"
  if ! docker image inspect debian:bookworm-slim > /dev/null 2>&1; then
    say "making debian:bookworm-slim"
    rm -rf "$make/debian"
    debootstrap --variant=minbase bookworm "$make/debian" > "$engine/debootstrap.log" 2>&1 || { tail "$engine/debootstrap.log" >&2; exit 1; }
    rm -rf "$make"/debian/var/cache/apt/archives/*.deb "$make"/debian/var/lib/apt/lists/*
    tar -C "$make/debian" -c . | docker import - debian:bookworm-slim > /dev/null
    rm -rf "$make/debian"
  fi
  node_files "$make/node"
  build_image "$node_image" node "$make/node"
  build_image postern-test/debian debian "$make/none"
  local image name
  for image in $(named_images); do
    [ "$image" = "$node_image" ] && continue
    name=$(basename "${image%%:*}")
    if [ ! -f "$here/images/$name.Dockerfile" ]; then say "$image cannot be had here"; continue; fi
    mkdir -p "$make/$name"
    local options=()
    if files_of "$image" "$make/$name" options; then build_image "$image" "$name" "$make/$name" "${options[@]}"; fi
  done
}

# npm's package of the newest patch of the same line, and npm.
node_files() {
  [ -x "$1/node/bin/node" ] || {
    mkdir -p "$1/node/bin" "$1/node/lib/node_modules" "$1/packages"
    local major=${node_image#node:}
    (cd "$1/packages" && npm pack --silent "node-linux-$(uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')@${major%%.*}" npm@11 > /dev/null \
      && tar xzf node-linux-*.tgz package/bin/node && mv package/bin/node "$1/node/bin/" && rm -rf package \
      && tar xzf npm-*.tgz && mv package "$1/node/lib/node_modules/npm")
    ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$1/node/bin/npm"
    ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$1/node/bin/npx"
    rm -rf "$1/packages"
  }
  cp "${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}" "$1/ca-certificates.crt"
}

# Puts what the Dockerfile of an image copies into the folder $2; further options of the build into the array $3. 1: not here.
files_of() {
  local image=$1 to=$2
  local -n further=$3
  case $image in
    traefik:* | caddy:* | envoyproxy/envoy:* | valkey/valkey:* | *oauth2-proxy:*)
      place "$(program "$image")" "$to/$(basename "${image%%:*}")"
      ;;
    *dex:*)
      local built
      built=$(program "$image") || return 1
      place "$(head -n 1 <<< "$built")" "$to/dex" && mirror "$(tail -n 1 <<< "$built")" "$to/web"
      ;;
    authelia/*)
      mirror "$project/node_modules/yaml" "$to/yaml" && cp "$project/test/support/compose/stand-ins/authelia.ts" "$to/"
      further+=(--build-arg "NODE=$node_image")
      ;;
    grafana/*)
      cp "$project/test/support/compose/stand-ins/grafana.ts" "$to/"
      further+=(--build-arg "NODE=$node_image")
      ;;
    *mcp-context-forge:*)
      local script venv
      script=$(program "$image")
      venv=$(realpath "$(dirname "$(dirname "$script")")")
      # Where its scripts say that its interpreter is, which need not be where it really is.
      mirror "$venv" "$to/venv" && further+=(--build-arg "VENV=$(sed -n '1s|^#!\(.*\)/bin/python.*|\1|p' "$script")")
      # Redis' client wants one package more of an interpreter before 3.11.3, which Debian's is.
      "$venv/bin/pip" install --quiet --target "$(echo "$to"/venv/lib/python3*/site-packages)" async-timeout >&2
      ;;
    *keycloak:*)
      # Half a gigabyte, for a suite that not everybody runs.
      [ "${POSTERN_TEST_COMPOSE:-}" = all ] || return 1
      local home
      home=$(dirname "$(dirname "$(program "$image")")")
      mirror "$home" "$to/keycloak" && rm -rf "$home"
      ;;
  esac
}

# The tests' own way to have a program, but for the images that are made of it.
program() { (cd "$project" && DOCKER_HOST=unix:///nowhere POSTERN_TEST_PROGRAMS= node --import tsx test/engine/program-path.ts "$1"); }

place() { [ -f "$1" ] && { cp -lf "$1" "$2" 2> /dev/null || cp -f "$1" "$2"; }; }
mirror() { [ -d "$1" ] && rm -rf "$2" && { cp -rl "$1" "$2" 2> /dev/null || { rm -rf "$2" && cp -r "$1" "$2"; }; }; }

# Our own, by its Dockerfile. The engine knows which steps it has done.
build_postern() {
  local tag
  tag=$(sed -nE 's/^ *image: *(postern:.*)/\1/p' "$project/deploy/example/postern.compose.yaml" | head -n 1)
  docker build -q --network host -t "$tag" "$project" > "$engine/postern.log" 2>&1 || { tail -n 20 "$engine/postern.log" >&2; exit 1; }
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *) echo "usage: engine.sh start|stop" >&2; exit 64 ;;
esac
