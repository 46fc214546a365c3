#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mandoc finds nothing to say about the manual pages, references between them included, and bash
# understands the completion. Usage: man_pages_are_well_formed.sh XBD
set -eu
xbd=$1
if ! command -v mandoc >/dev/null || ! command -v makewhatis >/dev/null; then
	echo "SKIP: no mandoc"
	exit 77
fi
bad=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/man1" "$dir/man5" "$dir/man8"
for page in xbd.1 xbd-export.1 xbd-node.1 xbd-stats.1 xbd-status.1 xbd-volume.1 xbd.conf.5 xbdd.8; do
	"$xbd" --man $page >"$dir/man${page##*.}/$page"
done
makewhatis "$dir"
for page in "$dir"/man?/*; do
	MANPATH=$dir mandoc -T lint -W style "$page" || bad=1
	[ -s "$page" ] || bad=1
done
"$xbd" --completion >"$dir/xbd.bash"
[ -s "$dir/xbd.bash" ] || bad=1
if command -v bash >/dev/null; then
	words=$(bash -c '. "$0"; COMP_WORDS=(xbd volume ""); COMP_CWORD=2; _xbd; echo "${COMPREPLY[*]}"' \
		"$dir/xbd.bash")
	case $words in
	*create*resize*--config*) ;;
	*)
		echo "completion of \"xbd volume\" gives: $words"
		bad=1
		;;
	esac
fi
exit $bad
