# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The lab's network: a bridge in a network namespace of its own, and one namespace per host joined
# to it by a veth pair. The namespaces of the machine itself are not touched.
#
# A host is `1`..`N`, `export` or `export2`. In its namespace the interface is xbd0; the other end,
# in the switch's namespace, is port-HOST. Faults are put on the port, as a switch would have them.

net_prefix4=198.18.0 # RFC 2544: for benchmarks, never routed
net_prefix6=fd00:0:0:1

ns_of() {
	printf 'xbdlab-%s-%s' "$lab" "$1"
}

# Last part of a host's address.
net_number() {
	case $1 in
	export) printf 101 ;;
	export2) printf 102 ;;
	*) printf '%s' "$1" ;;
	esac
}

net_address() {
	if [ "$ipv6" = 1 ]; then
		printf '%s::%s' "$net_prefix6" "$(net_number "$1")"
	else
		printf '%s.%s' "$net_prefix4" "$(net_number "$1")"
	fi
}

# Run a command inside a host's network. `ip netns exec` would remount /sys and hide bpffs.
net_enter() {
	local host=$1
	shift
	nsenter --net="/run/netns/$(ns_of "$host")" -- "$@"
}

# IPv6 addresses are there at once and nothing is asked of routers that do not exist.
net_add_namespace() {
	ip netns add "$1"
	# shellcheck disable=SC2016
	nsenter --net="/run/netns/$1" -- sh -c 'cd /proc/sys/net/ipv6/conf 2>/dev/null || exit 0
		for c in all default; do
			echo 0 >$c/accept_dad; echo 0 >$c/accept_ra; echo 0 >$c/router_solicitations
		done'
	ip -n "$1" link set lo up
}

net_add_switch() {
	local switch
	switch=$(ns_of switch)
	net_add_namespace "$switch"
	ip -n "$switch" link add br0 mtu "$mtu" type bridge mcast_snooping 0 forward_delay 0 stp_state 0
	ip -n "$switch" link set br0 up
}

# One queue per veth: XDP sockets are bound per queue and a lab host needs only one.
net_add_host() {
	local host=$1 ns switch
	ns=$(ns_of "$host")
	switch=$(ns_of switch)
	net_add_namespace "$ns"
	ip -n "$switch" link add "port-$host" mtu "$mtu" numtxqueues 1 numrxqueues 1 type veth \
		peer name xbd0 netns "$ns" mtu "$mtu" numtxqueues 1 numrxqueues 1
	ip -n "$switch" link set "port-$host" master br0 up
	ip -n "$ns" addr add "$net_prefix4.$(net_number "$host")/24" dev xbd0
	ip -n "$ns" addr add "$net_prefix6::$(net_number "$host")/64" dev xbd0 nodad
	ip -n "$ns" link set xbd0 up
}

# Port state 0 drops everything in both directions while the link stays up: a cable cut beyond the
# next switch, which the host cannot see. 3 is forwarding.
net_set_port() {
	bridge -n "$(ns_of switch)" link set dev "port-$1" state "$2"
}

# All namespaces of this lab, whether or not the lab is whole.
net_namespaces() {
	local f
	for f in /run/netns/xbdlab-"$lab"-*; do
		[ -e "$f" ] || continue
		case ${f##*/xbdlab-"$lab"-} in
		switch | export | export2 | [1-9] | [1-9][0-9]) printf '%s\n' "${f##*/}" ;;
		esac
	done
}

net_down() {
	local ns
	for ns in $(net_namespaces); do
		ip netns del "$ns"
	done
}
