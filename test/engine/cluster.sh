#!/usr/bin/env bash
# Runs a command in namespaces of its own, in which a Kubernetes node can be started, and which take with them what it leaves:
#   cluster.sh COMMAND…
# Its network, mounts and processes end with it; its control groups and files are removed here. As root on Linux, with containerd
# and runc, the plugins of CNI, iptables and ipset (Debian: docker.io, containernetworking-plugins, iptables, ipset), gcc for the
# pause program, and the images of engine.sh. Programs are built before, since there is no way out of this network.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
address=10.250.0.1

# The networks of a node: an address that is not loopback, and what the kubelet wants of the kernel, without the machine's change.
inside() {
  mount --make-rshared /
  for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$folder"; done
  while read -r setting value; do
    echo "$value" > "/run/${setting##*/}"
    mount --bind "/run/${setting##*/}" "/proc/sys/$setting"
  done <<< "vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000"
  { cat /etc/hosts; echo "$POSTERN_TEST_CLUSTER_HOST"; } > /run/hosts
  mount --bind /run/hosts /etc/hosts
  ip link set lo up
  ip link add node0 type veth peer name node1
  ip address add "$address/24" dev node0
  ip link set node0 up
  ip link set node1 up
  ip route add default dev node0
  echo 1 > /proc/sys/net/ipv4/ip_forward
  "$@"
}

# Of every hierarchy, from the innermost.
remove_groups() {
  local attempt
  for attempt in $(seq 50); do
    find /sys/fs/cgroup/"$group" /sys/fs/cgroup/*/"$group" -depth -type d -exec rmdir {} \; 2> /dev/null || true
    [ -z "$(find /sys/fs/cgroup -maxdepth 2 -name "$group")" ] && return 0
    sleep 0.1
  done
  echo "cluster: control groups $group are left" >&2
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit
fi

[ "$(id -u)" = 0 ] || { echo "cluster: only root can start a node" >&2; exit 1; }
for program in containerd runc ctr iptables ipset ip gcc /usr/lib/cni/bridge; do
  command -v "$program" > /dev/null || { echo "cluster: there is no $program here" >&2; exit 1; }
done

folder=$(mktemp -d /tmp/postern-cluster-XXXXXX)
group=$(basename "$folder")
node=
trap 'if [ -n "$node" ]; then kill -9 "$node" 2> /dev/null || true; fi; remove_groups; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

# For whoever repeats it: the engine of this environment, with the images that it has.
if [ "${POSTERN_TEST_ENGINE:-}" != prepared ]; then
  environment=$("$here/engine.sh" start)
  while IFS='=' read -r name value; do export "$name=$value"; done <<< "$environment"
fi
kubernetes=$(cd "$project" && node --import tsx test/engine/cluster-programs.ts)
gcc -Os -static -DVERSION=test -o "$folder/pause" "$kubernetes/build/pause/linux/pause.c"
tar -C "$folder" -c pause | docker import -c 'USER 65535:65535' -c 'ENTRYPOINT ["/pause"]' - postern-test/pause > /dev/null
docker save -o "$folder/images.tar" postern:0.1.0 traefik:v3.7.15 redis:8.2.3-alpine postern-test/pause

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir "/sys/fs/cgroup/$group"
else
  for hierarchy in /sys/fs/cgroup/*/; do
    if [ -f "$hierarchy/tasks" ]; then mkdir "$hierarchy$group"; fi
  done
  for set in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$set" > "/sys/fs/cgroup/cpuset/$group/cpuset.$set"; done
  # All pods together count as one process beside the others of the machine: as much as ten here.
  echo 10240 > "/sys/fs/cgroup/cpu/$group/cpu.shares"
fi

mkdir "$folder/tmp"
export TMPDIR=$folder/tmp POSTERN_TEST_CLUSTER=$folder
export POSTERN_TEST_CLUSTER_HOST="10.96.0.80 mcp.example.com"
cd "$project"
unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private bash "$0" --inside "$@" &
node=$!
wait "$node"
