#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Usage: clients.sh MEMSERVER
#
# Real NBD clients against the server with a backend in memory: libnbd's tools, qemu's, fio, mke2fs.
set -euo pipefail

server=$(realpath "$1")
for tool in nbdinfo nbdcopy qemu-img qemu-io fio mke2fs e2fsck cmp; do
	command -v "$tool" >/dev/null || {
		echo "skipped: $tool is not installed"
		exit 77
	}
done

dir=$(mktemp -d)
pid=
finish() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT
cd "$dir"
unix="nbd+unix:///mem?socket=$dir/sock"

fail() {
	echo "FAILED: $*"
	exit 1
}

# Start the server with options; sets $tcp too.
start() {
	rm -f "$dir/log"
	"$server" --unix "$dir/sock" --tcp-port 0 "$@" >"$dir/log" 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		grep -qs ready "$dir/log" && break
		sleep 0.05
	done
	tcp=nbd://127.0.0.1:$(awk '/^ready/ {print $2}' "$dir/log")/mem
}

# Stop it in order: it must end by itself, and take its socket with it.
stop() {
	kill -TERM "$pid"
	wait "$pid" || fail "the server ended with status $?: $(cat "$dir/log")"
	pid=
	[ ! -e "$dir/sock" ] || fail "the socket was left behind"
}

counter() {
	awk -v name="$1" '$1 == name {n = $2} END {print n + 0}' "$dir/log"
}

no_protocol_errors() {
	# One unknown export is asked for on purpose.
	if grep '^e_' "$dir/log" | grep -v '^e_export_name'; then
		fail "a correct client was taken for a wrong one"
	fi
}

head -c 33554432 /dev/urandom >random
truncate -s 33554432 sparse
head -c 300000 /dev/urandom | dd of=sparse bs=1000 seek=7000 conv=notrunc status=none
size=33554432

echo "== libnbd"
start --size $size
nbdinfo --json "$unix" >info
for want in '"can_multi_conn": true' '"can_flush": true' '"can_fua": true' '"can_df": true' \
	'"can_fast_zero": true' '"can_trim": true' '"can_zero": true' '"can_cache": true' \
	'"is_read_only": false' '"block_size_preferred": 4096' "\"export-size\": $size" \
	'"description": "memory for tests"' '"base:allocation"'; do
	grep -qF "$want" info || fail "nbdinfo does not say $want"
done
nbdinfo --list "$tcp" | grep 'export="mem"' >/dev/null || fail "the export is not listed"
nbdinfo --map "$unix" | grep -E "0 +$size +3 +hole,zero" >/dev/null || fail "a new volume is not a hole"
! nbdinfo "${unix/mem/other}" 2>/dev/null || fail "an unknown export was found"
nbdcopy --connections=4 random "$unix"
nbdcopy --connections=4 "$tcp" back
cmp random back
nbdinfo --map "$unix" | grep -E "0 +$size +0 +data" >/dev/null || fail "the map shows no data"
nbdcopy --destination-is-zero=false --connections=2 sparse "$tcp" 2>/dev/null ||
	nbdcopy --connections=2 sparse "$tcp"
nbdcopy --synchronous "$unix" back
cmp sparse back
nbdinfo --map "$unix" | grep zero >/dev/null || fail "nothing was zeroed"

echo "== qemu"
qemu-img info "$unix" | grep '32 MiB' >/dev/null || fail "qemu-img info"
qemu-img convert -n -f raw -O raw -W random "$unix"
qemu-img convert -f raw -O raw "$tcp" back
cmp random back
qemu-img compare -f raw -F raw random "$unix" >/dev/null || fail "qemu-img compare"
qemu-io -f raw -c 'write -P 5 4097 9999' -c 'read -P 5 4097 9999' -c 'write -z -u 4096 65536' \
	-c 'read -P 0 4096 65536' -c 'write -z 70001 5' -c 'read -P 0 70001 5' \
	-c 'discard 131072 1048576' -c 'write -f -P 9 512 512' -c 'read -P 9 512 512' -c flush \
	"$unix" >qemu.log || fail "qemu-io: $(cat qemu.log)"
! grep -iE 'pattern|error|failed' qemu.log || fail "qemu-io"
! qemu-io -f raw -c "read $size 512" "$unix" 2>&1 | grep 'read 512/512' >/dev/null ||
	fail "read beyond the end"
qemu-img bench -f raw -c 4000 -d 32 -s 4096 "$unix" >/dev/null
qemu-img bench -f raw -w -c 2000 -d 64 -s 131072 --flush-interval=100 "$tcp" >/dev/null

echo "== file system"
truncate -s $size fs
mke2fs -q -t ext4 fs
nbdcopy fs "$unix"
nbdcopy "$unix" back
e2fsck -fn back >/dev/null 2>&1 || fail "the file system is damaged"
cmp fs back
stop
no_protocol_errors
for name in reads writes flushes trims zeroes maps; do
	[ "$(counter $name)" -gt 0 ] || fail "a command was never used: $name"
done

echo "== fio, with little memory and buffers that come back late"
start --size $size --mem 16777216 --slow-release
cat >job <<-END
	[global]
	ioengine=nbd
	bsrange=512-300k
	iodepth=32
	verify=crc32c
	verify_fatal=1
	size=12m
	time_based=0
	[a]
	uri=$unix
	rw=randwrite
	[b]
	uri=$tcp
	offset=16m
	rw=randwrite
END
fio job >fio.log 2>&1 || fail "fio: $(tail -n 20 fio.log)"
stop
no_protocol_errors
[ "$(counter stalls)" -gt 0 ] || fail "no buffer was ever short"

echo "== read-only, and a stale socket"
start --size 1000000 --read-only
nbdinfo --json "$unix" | grep '"is_read_only": true' >/dev/null || fail "not read-only"
! qemu-io -f raw -c 'write 0 4096' "$unix" >/dev/null 2>&1 || fail "written although read-only"
! "$server" --unix "$dir/sock" >second 2>&1 || fail "two servers on one socket"
grep -q 'in use' second || fail "no reason given: $(cat second)"
{
	kill -KILL "$pid"
	wait "$pid" || true
} 2>/dev/null
[ -e sock ] || fail "the test is wrong: no socket was left"
start --size 1000001
nbdcopy "$unix" back
[ "$(stat -c %s back)" = 1000001 ] || fail "an odd size"
[ "$(stat -c %a sock)" = 660 ] || fail "mode of the socket"
stop
echo "all clients work"
