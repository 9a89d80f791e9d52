#!/usr/bin/env bash
# A whole Slurm on this one host, for the project's own tests: munged, slurmctld and one slurmd for each made-up node, with
# typed GPUs that are links to /dev/null. Nothing below /etc is read or written; no systemd, no database, no cgroup.
#   ci/slurm/cluster.sh install      Debian's slurmctld, slurmd, slurm-client and munge (root)
#   ci/slurm/cluster.sh start DIR    prints SLURM_CONF; everything that it writes stays below DIR
#   ci/slurm/cluster.sh node DIR N   starts the slurmd of node N again
#   ci/slurm/cluster.sh controller DIR   starts slurmctld again, with the queue that it left
#   ci/slurm/cluster.sh stop DIR     stops what `start` started, by pid, and removes DIR
# GLM_SLURM_NODES changes the nodes. A node is name:gres-type:gpus:feature; a node without GPUs is name::0:feature.
set -euo pipefail

PACKAGES=(slurmctld slurmd slurm-client munge)
NODES=${GLM_SLURM_NODES:-"rtx-0:rtxpro6000:4:sm120 h200-0:h200:8:sm90 b200-0:b200:8:sm100"}

say() { echo "slurm: $*" >&2; }

install() {
  command -v slurmd >/dev/null && command -v munged >/dev/null && { say "Slurm is here: $(slurmd -V)"; return; }
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then say "needs root and apt. Run: sudo apt-get install ${PACKAGES[*]}"; exit 2; fi
  say "installing ${PACKAGES[*]} from the distribution"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" >/dev/null
}

# As many free TCP ports as asked for, of 127.0.0.1.
free_ports() {
  python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PY
}

configure() {
  local dir=$1 host user ports spec name type count feature all="" i=1
  host=$(hostname -s) user=$(id -un)
  read -ra ports <<<"$(free_ports $(($(wc -w <<<"$NODES") + 1)))"
  mkdir -p "$dir"/{etc,state,log,run,spool,dev}
  chmod 755 "$dir" "$dir"/*
  chmod 700 "$dir/etc"
  dd if=/dev/urandom of="$dir/etc/munge.key" bs=128 count=1 status=none
  chmod 400 "$dir/etc/munge.key"
  cat >"$dir/etc/slurm.conf" <<CONF
ClusterName=fleet
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.sock
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
SlurmdSpoolDir=$dir/spool/%n
StateSaveLocation=$dir/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
# made-up nodes have more cores than this host
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0,kill_invalid_depend
# the partition \`scavenge\` loses its jobs to \`gpu\`, and they are requeued
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=5
MinJobAge=3600
MessageTimeout=10
SlurmdTimeout=10
InactiveLimit=0
MailProg=/bin/true
CONF
  echo "CgroupAutomount=no" >"$dir/etc/cgroup.conf"
  : >"$dir/etc/gres.conf"
  for spec in $NODES; do
    IFS=: read -r name type count feature <<<"$spec"
    local gres=""
    if [ "$count" -gt 0 ]; then
      gres="Gres=gpu:$type:$count"
      mkdir -p "$dir/dev/$name"
      # slurmd wants a character device: a link to one does, and needs neither root nor mknod
      for n in $(seq 0 $((count - 1))); do ln -sfn /dev/null "$dir/dev/$name/nvidia$n"; done
      echo "NodeName=$name Name=gpu Type=$type File=$dir/dev/$name/nvidia[0-$((count - 1))]" >>"$dir/etc/gres.conf"
    fi
    echo "NodeName=$name NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[$i]} CPUs=16 Boards=1 SocketsPerBoard=1" \
      "CoresPerSocket=16 ThreadsPerCore=1 RealMemory=4000 $gres Feature=$feature State=UNKNOWN" >>"$dir/etc/slurm.conf"
    all="$all,$name" i=$((i + 1))
  done
  cat >>"$dir/etc/slurm.conf" <<CONF
PartitionName=gpu Nodes=${all#,} Default=YES MaxTime=24:00:00 DefaultTime=60 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=scavenge Nodes=${all#,} MaxTime=24:00:00 DefaultTime=60 State=UP PriorityTier=1 PreemptMode=REQUEUE
CONF
  printf '%s\n' "$NODES" >"$dir/etc/nodes"
}

start() {
  local dir=$1 spec want
  for program in munged slurmctld slurmd sinfo; do
    command -v "$program" >/dev/null || { say "no $program. Run: $0 install"; exit 2; }
  done
  configure "$dir"
  export SLURM_CONF=$dir/etc/slurm.conf
  munged --force --socket="$dir/run/munge.sock" --key-file="$dir/etc/munge.key" --pid-file="$dir/run/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/run/munge.seed"
  slurmctld -c -f "$SLURM_CONF" >/dev/null
  for spec in $NODES; do slurmd -N "${spec%%:*}" -f "$SLURM_CONF" >/dev/null; done
  want=$(wc -w <<<"$NODES")
  for _ in $(seq 150); do
    [ "$(sinfo -h -p gpu -N -o '%N %T' 2>/dev/null | grep -c ' idle$')" = "$want" ] && { echo "$SLURM_CONF"; return; }
    sleep 0.1
  done
  say "not all of $want nodes are idle after 15 s:"
  sinfo -N -o '%N %T %E' >&2 || true
  tail -n 5 "$dir/log/slurmctld.log" >&2
  exit 1
}

stop() {
  local dir=$1 f alive
  export SLURM_CONF=$dir/etc/slurm.conf
  [ ! -f "$SLURM_CONF" ] || timeout 5 scancel --user="$(id -un)" 2>/dev/null || true
  for f in "$dir"/run/slurmd-*.pid "$dir/run/slurmctld.pid" "$dir/run/munged.pid"; do
    if [ -s "$f" ]; then kill "$(cat "$f")" 2>/dev/null || true; fi
  done
  for _ in $(seq 100); do
    alive=0
    for f in "$dir"/run/*.pid; do if [ -s "$f" ] && kill -0 "$(cat "$f")" 2>/dev/null; then alive=1; fi; done
    [ "$alive" = 1 ] || break
    sleep 0.1
  done
  # slurmctld may wait for a node that does not answer
  for f in "$dir"/run/*.pid; do if [ -s "$f" ]; then kill -9 "$(cat "$f")" 2>/dev/null || true; fi; done
  rm -rf "$dir"
}

case "${1:-}" in
  install) install ;;
  start | stop) "$1" "${2:?a directory}" ;;
  node) SLURM_CONF=$2/etc/slurm.conf slurmd -N "${3:?a node}" -f "$2/etc/slurm.conf" ;;
  controller) SLURM_CONF=${2:?a directory}/etc/slurm.conf slurmctld -f "$2/etc/slurm.conf" ;;
  *) sed -n '2,10p' "$0" >&2; exit 2 ;;
esac
