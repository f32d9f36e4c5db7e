#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# pause.sh BUILD: what a guest notices of the changes under its disk.  fio reads and writes
# 4 KiB at a time for SECS seconds: first nothing happens, then snapshots come and go, and a
# collector merges all they leave into the disk.  The difference is the pause; it is
# wanted to be 100 ms at most for 999 of 1000 requests.

. "$(dirname "$0")/common.bash"
# shellcheck source=tests/helpers/lab.bash
. "$bench/../helpers/lab.bash"
secs=${SECS:-20} rounds=${RUNS:-1}

# Milliseconds at the 99.9th percentile, of reads and of writes.
under_fio() {
	guest_ok -t $((secs * 10 + 60)) "cd /tmp; rm -f over
		(while [ ! -e over ]; do $1; done) >/dev/null 2>&1 & w=\$!
		judge fio --name=x --filename=/dev/disk --rw=randrw --bs=4k --direct=1 --ioengine=psync --size=120M --thinktime=1000 \
			--runtime=$secs --time_based --percentile_list=99.9 --disk_util=0 --output-format=json --output=/tmp/fio >/tmp/fio.said 2>&1; s=\$?
		touch over; wait \$w
		[ \$s = 0 ] && [ ! -s /tmp/fio.said ] || { cat /tmp/fio.said; exit 1; }
		judge jq -r '.jobs[0] | [.read, .write | .clat_ns.percentile[\"99.900000\"] / 1e6] | @tsv' /tmp/fio" >/dev/null || { printf '%s\n' "$output" >&2; return 1; }
	read -r r w <<<"$output"
}

changes='sm vdi snapshot v s; dd if=/dev/zero of=/dev/disk bs=1M count=4 oflag=direct; sm vdi delete s; sm gc run disks'

lab_start --mem 512M --disk a:1G >/dev/null
for type in file lvm; do
	case $type in
	file) guest_ok 'judge mkfs.ext4 -qF /dev/ubda; mount /dev/ubda /srv; mkdir /srv/d
		sm sr create disks --type file --dconf location=/srv/d' ;;
	lvm) guest_ok 'umount /srv; dd if=/dev/zero of=/dev/ubda bs=1M count=12; sm sr create disks --type lvm --dconf device=/dev/ubda' ;;
	esac >/dev/null
	guest_ok 'export SM_GC=off; sm vdi create v --sr disks --size 128M --format vhd; d=$(sm vdi attach v); ln -sf $d /dev/disk
		dd if=/dev/zero of=$d bs=1M count=128 oflag=direct conv=fsync' >/dev/null
	printf '\n%-34s %9s %9s %9s %7s\n' "Under fio, $type, ms at 99.9 %" quiet changing pause wanted
	for ((i = 0; i < rounds; i++)); do
		under_fio 'sleep 1'
		quiet_r=$r quiet_w=$w
		under_fio "export SM_GC=off; $changes"
		for of in "reads $quiet_r $r" "writes $quiet_w $w"; do
			read -r name quiet loud <<<"$of"
			pause=$(awk "BEGIN { d = $loud - $quiet; printf \"%.1f\", (d > 0 ? d : 0) }") mark=
			awk "BEGIN { exit !($pause > 100) }" && mark=' <' missed=$((missed + 1))
			printf '%-34s %9.1f %9.1f %9s %7s%s\n' "$name" "$quiet" "$loud" "$pause" 100 "$mark"
		done
	done
	guest_ok 'sm vdi detach v; export SM_GC=off; for i in 1 2 3; do for x in $(sm vdi list --minimal | tr , " "); do sm vdi delete $x; done; done
		sm sr destroy disks; rm -rf /srv/d' >/dev/null
done
lab_stop
verdict
