#!/usr/bin/env bash
# A Docker daemon for the project's own tests, apart from any other on the host: own socket, data and bridge, no firewall
# rules. Several may run side by side.
#   ci/docker/daemon.sh install      Debian's docker.io package (root)
#   ci/docker/daemon.sh start DIR    prints DOCKER_HOST; everything it writes stays below DIR
#   ci/docker/daemon.sh stop DIR     stops it, unmounts and removes DIR
set -euo pipefail

say() { echo "docker: $*" >&2; }

install() {
  command -v dockerd >/dev/null && { say "dockerd is here: $(dockerd --version)"; return; }
  [ "$(id -u)" = 0 ] || { say "not root. Run: sudo apt-get install docker.io"; exit 2; }
  say "installing docker.io from the distribution"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io iptables iproute2 >/dev/null
  # A package that is registered and whose program somebody removed is not installed again unasked.
  command -v dockerd >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --reinstall docker.io >/dev/null
  command -v dockerd >/dev/null || { say "docker.io is installed and has no dockerd in $PATH"; exit 1; }
}

start() {
  local dir=$1
  [ "$(id -u)" = 0 ] || { say "dockerd needs root"; exit 2; }
  command -v dockerd >/dev/null || { say "no dockerd. Run: $0 install"; exit 2; }
  mkdir -p "$dir"
  bridge "$dir"
  # Published ports go through docker-proxy on loopback; without iptables a container reaches nothing outside.
  setsid dockerd --host "unix://$dir/docker.sock" --data-root "$dir/data" --exec-root "$dir/exec" \
    --pidfile "$dir/dockerd.pid" --bridge "$(cat "$dir/bridge")" --iptables=false --ip6tables=false \
    --ip-forward=false --ip-masq=false --log-level warn \
    >"$dir/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 150); do
    if [ -S "$dir/docker.sock" ] && answers "$dir/docker.sock"; then echo "unix://$dir/docker.sock"; return; fi
    kill -0 $! 2>/dev/null || break
    sleep 0.2
  done
  say "dockerd did not come up; the end of $dir/dockerd.log:"
  tail -n 15 "$dir/dockerd.log" >&2
  exit 1
}

# A bridge of its own with a network that nobody has: two daemons on docker0 would take it from each other.
bridge() {
  local dir=$1 name n
  name="glmd$(printf '%s' "$dir" | cksum | cut -d ' ' -f 1)"
  for n in $(shuf -i 0-255); do
    ip -4 addr | grep -q "inet 10\.217\.$n\." && continue
    ip link add name "$name" type bridge
    echo "$name" >"$dir/bridge"
    ip addr add "10.217.$n.1/24" dev "$name"
    ip link set "$name" up
    return
  done
  say "no free network in 10.217.0.0/16"
  exit 1
}

answers() {
  python3 - "$1" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(2)
try:
    s.connect(sys.argv[1]); s.sendall(b"GET /_ping HTTP/1.0\r\n\r\n"); sys.exit(b" 200 " not in s.recv(64))
except OSError:
    sys.exit(1)
PY
}

stop() {
  local dir=$1 pid
  if pid=$(cat "$dir/dockerd.pid" 2>/dev/null); then
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 150); do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
  fi
  { grep -o " $dir/[^ ]*" /proc/mounts || true; } | sort -r | xargs -r umount -l 2>/dev/null || true
  if [ -f "$dir/bridge" ]; then ip link delete "$(cat "$dir/bridge")" 2>/dev/null || true; fi
  rm -rf "$dir"
}

case "${1:-}" in
  install) install ;;
  start | stop) "$1" "${2:?a directory}" ;;
  *) sed -n '2,6p' "$0" >&2; exit 2 ;;
esac
