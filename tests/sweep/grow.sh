#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# grow.sh EVERY FIRST KIND [HOW...]: a disk in use grows, and who grows it is disturbed at some of
# its system calls, as disturb.h says, or its server dies then ("server").  Something is asked of the
# disk all the time.  After each its device answers, has the old or the new size, and all that was
# in it; the next verb makes an end of it, whichever it is; the SR is in order.
#
# KIND is file or lvm, a dash, and raw, vhd, base (with a parent), thin (growing as it fills) or nbd (raw
# and served).  A line for table.sh for each HOW.  Needs at and stamp in PATH.
set -u
every=$1 first=$2 kind=$3
shift 3
type=${kind%-*} format=vhd bad=0 step=2 slow=0
where=location=/srv/d
[ "$type" = file ] || where=device=/dev/ubdb step=4
case $kind in
*-raw | *-nbd) format=raw ;;
esac
AT_DO=
export SM_GC=off AT_COUNT=/tmp/at.count AT_DO

complain() {
	echo "$kind, $how, call $n: $*" | cut -c1-600
	bad=$((bad + 1))
}

mib() { echo $(($(blockdev --getsize64 "$D") >> 20)); }
worker() { cat "/proc/$(head -n 1 /run/sm/server/$V)/task/$(head -n 1 /run/sm/server/$V)/children" 2>/dev/null | tr -d ' '; }
page() { timeout 20 dd if="$D" of=/tmp/page bs=4k skip="$1" count=1 iflag=direct status=none && md5sum </tmp/page; }

# A disk with some blocks that are full and some that are not, and a writer.
before() {
	size=16
	mkdir -p /srv/d
	sm sr create grows --type $type --dconf $where ${thin:+--dconf allocation=thin --dconf live_growth=true} >/dev/null || exit 1
	V=$(sm vdi create v --sr grows --size ${size}M --format $format) || exit 1
	D=$(sm vdi attach v) || exit 1
	dd if=/dev/urandom of="$D" bs=1M count=8 oflag=direct status=none
	case $kind in
	*-base) sm vdi snapshot v s >/dev/null || exit 1 ;;
	*-nbd) sm vdi snapshot v s >/dev/null && sm vdi delete s && sm gc run grows >/dev/null && sm gc run grows >/dev/null || exit 1 ;;
	esac
	dd if=/dev/urandom of="$D" bs=1M seek=6 count=6 oflag=direct status=none
	last=$(dd if="$D" bs=1M skip=4 count=12 iflag=direct status=none | md5sum)
}

writes() {
	writer=
	[ "$how" = server ] || { stamp write "$D" 900 >/tmp/stamp & writer=$!; }
}

quiet() {
	[ -z "$writer" ] || { kill -TERM $writer; wait $writer || complain "the writer has failed"; read -r -a wrote </tmp/stamp
		stamp check "$D" "${wrote[@]:0:4}" >/dev/null || complain "what was written is not there"; }
	writer=
}

after() {
	quiet
	[ "$(dd if="$D" bs=1M skip=4 count=12 iflag=direct status=none | md5sum)" = "$last" ] || complain "the data has changed"
	sm vdi detach v || exit 1
	D=$(sm vdi attach v --read-only)
	[ "$(dd if="$D" bs=1M skip=4 count=12 iflag=direct status=none | md5sum)" = "$last" ] || complain "the data has changed, after a detach"
	sm vdi detach v
	for i in 1 2 3; do for v in $(sm vdi list --sr grows --minimal | tr , ' '); do sm vdi delete $v 2>/dev/null; done; done
	sm sr destroy grows || exit 1
}

# One point; $over when the verb has less calls than that.
point() {
	local status=0 now began=$EPOCHREALTIME word=$how old=$size

	size=$((size + step)) over=
	if [ "$how" = server ]; then
		# One that has lived for a moment only is not followed at once.
		sm vdi detach v && sm vdi attach v >/dev/null || exit 1
		word=only
		# What comes next is asked while there is none.
		AT_DO="kill -9 $(worker); { timeout 100 dd if=$D of=/dev/null bs=1M count=12 iflag=direct status=none || echo failed; } >/tmp/asked 2>&1 &
			for i in 1 2 3 4 5 6 7 8 9; do ! grep >/dev/null '[1-9]' /sys/block/dm-*/inflight || break; sleep 0.01; done"
	fi
	rm -f /tmp/asked
	at $n family:$word "$(command -v sm)" vdi resize v ${size}M >/tmp/said 2>&1 || status=$?
	[ $n -le "$(cat /tmp/at.count)" ] || over=1
	[ -z "$over" ] || [ $status = 0 ] || complain "undisturbed: $(cat /tmp/said)"
	now=$(mib)
	[ "$now" = $old ] || [ "$now" = $size ] || complain "it has $now MiB"
	page 1024 >/dev/null || complain "it does not answer"
	case $((points++ % 3)) in
	0) set -- vdi resize v ${size}M ;;
	1) set -- vdi attach v ;;
	2) set -- vdi resize v $((size += step))M ;;
	esac
	# While a server is started again it may be told to come back.
	for ((i = 0; i < 20; i++)); do
		status=0
		sm "$@" >/tmp/said 2>&1 || status=$?
		[ $status = 3 ] && [ "$how" = server ] || break
		sleep 0.5
	done
	[ $status = 0 ] || complain "afterwards sm $*: $(cat /tmp/said)"
	now=$(sm vdi show v --json | tr -d '\n' | sed 's/.*"virtual_size": *\([0-9]*\).*/\1/')
	now=$((now >> 20))
	[ $now = "$(mib)" ] || complain "after sm $* it has $now MiB, and shows $(mib)"
	[ $2 = attach ] || [ $now = $size ] || complain "after sm $* it has $now MiB"
	page 1025 >/dev/null || complain "it does not answer any more"
	[ $((points % 8)) != 0 ] || sm sr check grows >/tmp/said || complain "$(cat /tmp/said)"
	[ -z "$writer" ] || kill -0 $writer || complain "the writer has failed"
	[ ! -s /tmp/asked ] || complain "what was asked meanwhile has failed"
	size=$now
	now=$((${EPOCHREALTIME/./} - ${began/./}))
	[ $now -lt 8000000 ] || { echo "# $kind, $how, call $n: $((now / 1000)) ms"; slow=$((slow + 1)); }
}

for how; do
	case $how,$kind in
	server,*-raw) continue ;;
	esac
	was=$bad points=0 n=0
	thin=
	[[ $kind != *-thin ]] || thin=1
	before
	writes
	for ((n = first; ; n += every)); do
		point
		[ -z "$over" ] || break
		[ $((bad - was)) -lt 10 ] || break
		[ $size -lt 400 ] || { after; before; writes; }
	done
	after
	did=failed
	case $how in kill | server) did=killed ;; esac
	echo "# $kind, $how: $(cat /tmp/at.count) calls"
	echo "# sweep $type grow_in_use_${kind#*-} $did=$points bad=$((bad - was))"
done
[ $bad -eq 0 ]
