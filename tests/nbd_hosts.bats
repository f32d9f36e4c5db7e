#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # scripts for the guests
#
# Two hosts and one VG: thin disks that take space of it as they fill, on both at once.  HOST_DEATHS is how often a
# host dies with the lock of the SR while the other one needs room, which costs that one the lease and the grace.

SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
VG=VG_XenStorage-$SR

setup_file() {
	load helpers/lab
	load helpers/dm
	lab_start --shared disk:6G
	lab_start -n b --shared disk:6G
	host a 1
	host b 2
	guest_ok "sm sr create S --uuid $SR $AT" >/dev/null
	guest_ok -n b "sm sr introduce $SR --name S $AT" >/dev/null
}

teardown_file() {
	load helpers/lab
	lab_stop -n b
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/dm
	needs LVM_THIN_GROW SHARED_SR FRONT_CLI
}

AT="--type lvm --dconf device=/dev/ubda --dconf allocation=thin --dconf live_growth=true --dconf shared=true"

# host NAME NUMBER: what a host has of its own.
host() {
	guest_ok -n "$1" "echo $2$2$2$2$2$2$2${2}00000000000000000000000$2 >/etc/machine-id"
	dm_tool -n "$1" killat
	guest_put -n "$1" "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
}

# on HOST TEXT [SECONDS]: with the words of nbd/guest.bash; its own disk is called as it is.
on() {
	guest_ok -n "$1" -t "${3:-60}" "V=\$(sm vdi show $1 --minimal) D=/dev/mapper/sm-\$V VG=$VG; . /tmp/nbd.bash
		# touch_blocks BYTE FROM TO: a page of each block.  have_blocks: it is there.
		blocks() {
			fio --verify=pattern --verify_pattern=\$2 --do_verify=0 --bs=4k --rw=\$1:2044k --offset=\$((\$3 * 2))M \\
				--size=\$(((\$4 - \$3) * 2))M --io_size=\$(((\$4 - \$3) * 4))k
		}
		touch_blocks() { blocks write \"\$@\"; }
		have_blocks() { blocks read \"\$@\"; }
		mib() { judge lvs --noheadings --units m --nosuffix -o lv_size \$VG/VHD-\$V | sed 's/ *\\([0-9]*\\).*/\\1/'; }
		whole() { judge vgck \$VG; judge pvck /dev/ubda >/dev/null; sm sr check S; }
		$2"
}

@test "two hosts fill their disks at once: each extent is given once" {
	guest_ok 'sm vdi create a --sr S --size 1G --format vhd' >/dev/null
	guest_ok -n b 'sm vdi create b --sr S --size 1G --format vhd' >/dev/null
	for h in a b; do
		on $h 'sm vdi attach '$h'; [ $(mib) = 72 ]' >/dev/null
	done
	on b 'touch_blocks 2 0 120; have_blocks 2 0 120; [ $(mib) -gt 240 ]' 120 >"$BATS_TEST_TMPDIR/b" 2>&1 &
	on a 'touch_blocks 1 0 120; have_blocks 1 0 120; [ $(mib) -gt 240 ]' 120
	wait $! || { cat "$BATS_TEST_TMPDIR/b"; false; }
	on a 'whole; sm vdi detach a'
	on b 'whole; sm vdi detach b'
	# What one wrote the other reads.
	on a 'V=$(sm vdi show b --minimal); D=$(sm vdi attach b --read-only); have_blocks 2 0 120; sm vdi detach b'
	on b 'V=$(sm vdi show a --minimal); D=$(sm vdi attach a --read-only); have_blocks 1 0 120; sm vdi detach a'
}

# The SR's own lock, as a verb of the other host finds it.
held_by_b() {
	guest "sm vdi rename c c --timeout 2 2>&1" || true
	[[ $status -ne 0 && $output == *"is being changed by 'b' (host 22222222-0000-0000-0000-000000000002, process "*", serve)"* ]]
}

@test "a host dies while its disk grows: the other one's waits for its room for that long, and for nothing else" {
	local i at=0 to

	guest_ok 'sm vdi create c --sr S --size 2G --format vhd; sm vdi create d --sr S --size 2G --format vhd' >/dev/null
	on a 'V=$(sm vdi show c --minimal); D=$(sm vdi attach c); touch_blocks 1 0 4'
	for ((i = 0; i < ${HOST_DEATHS:-1}; i++)); do
		# It stops in the midst of a growth, which is known by then to take so many calls, with the lock of the SR.
		on b 'V=$(sm vdi show d --minimal); D=$(sm vdi attach d); w=$(worker); at='$at'
			fill() { touch_blocks 2 $at $((at + 40)); judge sync $D; at=$((at + 40)); }
			s=0; killat 0 100000 $w >/tmp/killat & k=$!
			until [ -s /tmp/killat ]; do kill -0 $k; sleep 0.01; done
			fill; wait $k || s=$?; [ $s = 1 ]; n=$(tail -n 1 /tmp/killat)
			killat 0 $((n * 2 / 3)) $w stop >/tmp/killat & k=$!
			until [ "$(tail -n 1 /tmp/killat)" = ready ]; do kill -0 $k; sleep 0.01; done
			(fill >/dev/null 2>&1 || true) & wait $k; echo "$n calls" >&2'
		held_by_b
		lab_kill -n b
		to=$((at + 40))
		on a 'V=$(sm vdi show c --minimal); D=/dev/mapper/sm-$V; from=$SECONDS
			(touch_blocks 3 '"$((at + 4)) $((to + 4))"'; echo done) >/tmp/wrote & t=$!
			sleep 2; have_blocks 1 0 4; touch_blocks 4 0 2; have_blocks 4 0 2; touch_blocks 1 0 2; [ ! -s /tmp/wrote ]
			wait $t; grep done /tmp/wrote; took=$((SECONDS - from)); echo "$took s" >&2; [ $took -gt 30 ]
			have_blocks 3 '"$((at + 4)) $((to + 4))"'; have_blocks 1 0 4; whole' 120
		lab_restart -n b
		host b 2
		guest_ok -n b "sm sr introduce $SR --name S $AT" >/dev/null
		on b 'V=$(sm vdi show d --minimal); D=$(sm vdi attach d); have_blocks 2 0 '$to'; sm vdi detach d; whole'
		at=$to
	done
	on a 'V=$(sm vdi show c --minimal); D=/dev/mapper/sm-$V; have_blocks 1 0 4; have_blocks 3 4 '$((at + 4))'; sm vdi detach c; whole'
}
