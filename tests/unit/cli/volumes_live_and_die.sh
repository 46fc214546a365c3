#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Nodes and volumes through the command line, against three storage daemons on loopback: what works,
# what is refused and that a refusal leaves nothing behind. Usage: volumes_live_and_die.sh XBD XBDD
set -u
xbd=$1
xbdd=$2
dir=$(mktemp -d)
base=$((20000 + RANDOM % 10000))
declare -A pid
bad=0

# shellcheck disable=SC2317 # the trap runs it
cleanup() {
	for n in "${!pid[@]}"; do
		kill -KILL "${pid[$n]}"
		wait "${pid[$n]}"
	done 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

fail() {
	echo "FAIL: $*"
	cat "$dir/out" 2>/dev/null
	bad=1
}

run() {
	"$xbd" --meta "$dir/meta" --run-dir "$dir/run" "$@" >"$dir/out" 2>&1 </dev/null
}

# ok TEXT ARGUMENT...; refused TEXT ARGUMENT...
ok() {
	local want=$1
	shift
	if ! run "$@" || ! grep -qF -- "$want" "$dir/out"; then
		fail "xbd $*: wanted \"$want\""
	fi
}

refused() {
	local want=$1
	shift
	if run "$@" || ! grep -qF -- "$want" "$dir/out"; then
		fail "xbd $*: wanted a refusal \"$want\""
	fi
}

at() {
	echo "127.0.0.1:$((base + $1))"
}

start() {
	"$xbdd" --run-dir "$dir/run" --name "n$1" --store "$dir/n$1" --listen "$(at "$1")" \
		--transport udp >>"$dir/log$1" 2>&1 &
	pid[$1]=$!
	for _ in $(seq 100); do
		run status "n$1" --check && return
		sleep 0.1
	done
	cat "$dir/log$1"
	echo "n$1 does not start"
	exit 1
}

stop() {
	kill "${pid[$1]}"
	wait "${pid[$1]}" 2>/dev/null
	unset "pid[$1]"
}

shards_of() {
	"$xbd" --meta "$dir/meta" node list --json |
		python3 -c 'import json, sys; print(sum(n["shards"] for n in json.load(sys.stdin)["nodes"]))'
}

"$xbd" version --json | grep -q '"io_uring": "yes"' || {
	echo "SKIP: no io_uring here"
	exit 77
}
for i in 1 2 3; do
	many=4096
	[ $i != 3 ] || many=2 # n3 is soon full
	ok 'store UUID' node init "$dir/n$i" --size 256M --shards-max $many
	start $i
	refused 'calls itself' node add other "$(at $i)"
	ok "node n$i" node add "n$i" "$(at $i)"
done
ok 'running' node info n1
ok 'node n1' node add n1 "$(at 1)" # again: no harm

ok '3 replicas, 1 shard' volume create v1 --size 100M
refused 'volume v1 exists already' volume create v1 --size 100M
refused 'holds 1 shards' node remove n1
refused 'cannot be made smaller' volume resize v1 --size 50M
ok '120 MiB, was 100 MiB' volume resize v1 --size 120M
ok '120 MiB' volume info v1
refused 'not enough space' volume create v2 --size 1T
refused '4 replicas need 4 nodes' volume create v2 --size 1G --replicas 4

# A store that is full takes back what the others made.
refused 'has no room for more shards' volume create v2 --size 200M --shard-size 128M
refused 'no volume "v2"' volume info v2
[ "$(shards_of)" = 3 ] || fail "shards of a volume that was not made are counted"

# A node that is down: nothing is made, nothing is deleted, and it is named.
stop 2
refused 'node n2' volume create v2 --size 100M --replicas 3
refused 'node n2' volume delete v1
ok '120 MiB' volume info v1
refused 'node n2' node info n2
run status
grep -q 'n1 *running' "$dir/out" || fail 'status does not show n1'
start 2
ok 'deleted' volume delete v1
ok 'no volumes' volume list
[ "$(shards_of)" = 0 ] || fail "shards of a deleted volume are counted"

# An export on another host, with a run directory of its own: its leases keep the volume alive.
ok '2 replicas' volume create v4 --size 10M --replicas 2 --nodes n1,n2
mkdir "$dir/run2"
"$xbd" --meta "$dir/meta" --run-dir "$dir/run2" export v4 --transport udp >"$dir/ready" 2>"$dir/log" &
pid[export]=$!
for _ in $(seq 100); do
	! grep -q '^ready nbd+unix:' "$dir/ready" || break
	sleep 0.1
done
refused 'volume v4 is in use' volume delete v4
ok 'v4' volume info v4
kill -0 "${pid[export]}" || fail 'the export ended'
stop export
ok 'deleted' volume delete v4

# Another store under an old address: it is never touched.
ok '1 replica, 1 shard' volume create v3 --size 10M --replicas 1 --nodes n1
stop 1
rm "$dir/n1"
ok 'store UUID' node init "$dir/n1" --size 256M
start 1
refused 'was its disk replaced' volume delete v3
refused 'known with another store' node add n1 "$(at 1)"
ok 'another store than the metadata says' node info n1
exit $bad
