#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# block-sm, as libxl runs it, with the xenstored of Debian's Xen.

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:512M
	fs_disk
	dm_tool dieat
	guest_put "$BATS_TEST_DIRNAME/xen/guest.bash" /tmp/xen.bash
	gcc -shared -fPIC -nostdlib -o "$BATS_FILE_TMPDIR/virq.so" "$BATS_TEST_DIRNAME/xen/virq.c"
	guest_put "$BATS_FILE_TMPDIR/virq.so" /tmp/virq.so
	guest_ok '. /tmp/xen.bash; start_xenstored
		mkdir -p /srv/d; sm sr create disks --type file --dconf location=/srv/d
		sm vdi create v --sr disks --size 32M --format vhd; sm vdi create r --sr disks --size 32M --format raw' >/dev/null
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_FILE DATAPATH_NBD FRONT_CLI FRONT_BLOCK
}

teardown() {
	in_guest 'judge xenstore-rm /local/domain; for v in v r; do sm vdi detach $v; done' >/dev/null
}

in_guest() {
	guest_ok -t "${2:-60}" ". /tmp/xen.bash; $1"
}

@test "the main job: add gives the guest its device, remove takes it back, and both may come twice" {
	in_guest 'for v in v r; do
			backend 1 disks/$v w
			block add 1; D=$(attached $v)
			[ "$(get 1 physical-device-path)" = $D ]
			[ "$(get 1 physical-device)" = "$(stat -L -c %t:%T $D)" ]
			[ "$(get 1 hotplug-status)" = connected ]
			[ "$(blockdev --getro $D) $(blockdev --getsize64 $D)" = "0 33554432" ]
			echo hello >$D
			block add 1; [ "$(attached $v)" = $D ]
			block remove 1; [ "$(attached $v)" = null ] && [ -z "$(left 1)" ]
			block remove 1
			backend 1 disks/$v r; block add 1; [ "$(blockdev --getro $(get 1 physical-device-path))" = 1 ]
			[ "$(head -c 5 $(get 1 physical-device-path))" = hello ]
			block remove 1
		done
		judge xenstore-rm $B/1; block remove 1'
}

@test "a disk by its uuid, without its SR, and by a name with anything in it" {
	in_guest 'u=$(sm vdi show v --minimal) s=$(sm sr show disks --minimal)
		odd="a/b, c=\"d\" \$(e) %s é"
		sm vdi rename r "$odd"
		for t in $s/$u disks/${u:0:8} $u v; do
			backend 1 $t w; block add 1; [ "$(attached v)" != null ]; block remove 1; [ "$(attached v)" = null ]
		done
		for t in "disks/$odd" "$odd"; do
			backend 1 "$t" w; block add 1; [ "$(attached "$odd")" != null ]
			# Whatever it is called by now.
			sm vdi rename "$odd" r; block remove 1; [ "$(attached r)" = null ]; sm vdi rename r "$odd"
		done
		sm vdi rename "$odd" r'
}

@test "what cannot be done is said in one line, where xl looks for it, and nothing is left" {
	in_guest 'backend 1 disks/none w; wrong 1 1 "block-sm: SR *: VDI none: no such VDI (try: sm vdi list)"
		backend 1 nowhere/v w; wrong 1 1 "block-sm: *nowhere*: no such SR*"
		backend 1 "" w; wrong 1 1 "block-sm: *no params*"
		[ "$(left 1)" = "hotplug-error hotplug-status" ]; block remove 1
		sm vdi create old --sr disks --size 4M --format vhd; s=$(sm vdi snapshot old then)
		backend 1 disks/then w; wrong 1 1 "*VDI $s is read-only (try: *)"; block remove 1; [ "$(attached then)" = null ]
		backend 1 disks/then r; block add 1; block remove 1
		rc=0; XENBUS_PATH= block-sm add 2>/tmp/why || rc=$?; [ $rc = 2 ]; grep -q "XENBUS_PATH is not set" /tmp/why
		rc=0; XENBUS_PATH=/x block-sm add 2>/tmp/why || rc=$?; [ $rc = 2 ]; grep -q "not the path of a backend" /tmp/why
		rc=0; XENBUS_PATH=$B/1/51712 block-sm start 2>/tmp/why || rc=$?; [ $rc = 2 ]; grep -q "usage: block-sm" /tmp/why
		rc=0; XENSTORED_PATH=/nowhere block add 1 2>/tmp/why || rc=$?; [ $rc = 1 ]
		[ "$(cat /tmp/why)" = "block-sm: open xenstore: No such file or directory (try: is xenstored running?)" ]'
}

@test "one writer, or as many readers as there are, or those who know what they do" {
	in_guest 'backend 1 disks/v w; block add 1; D=$(attached v)
		backend 2 v w; wrong 1 2 "*is in use by domain 1 (try: mode w! *)"; block remove 2
		backend 2 v r; wrong 1 2 "*is in use by domain 1*"; block remove 2
		[ "$(attached v)" = $D ]
		# The same guest, moving from here to here.
		judge xenstore-write /local/domain/1/vm /vm/x /local/domain/2/vm /vm/x
		backend 2 v w; block add 2; [ "$(get 2 physical-device-path)" = $D ]
		block remove 1; [ "$(attached v)" = $D ] && [ -z "$(left 1)" ]; block remove 2; [ "$(attached v)" = null ]
		backend 3 v "w!"; block add 3; backend 4 v "w!"; block add 4
		block remove 3; [ "$(attached v)" = $D ]; block remove 4; [ "$(attached v)" = null ]
		for i in 5 6 7; do backend $i v r; block add $i & done; wait
		for i in 5 6 7; do [ "$(get $i physical-device-path)" = $D ]; block remove $i; done; [ "$(attached v)" = null ]
		# Two at once, who both want to write: one gets it.
		for i in 8 9; do backend $i r w; (block add $i 2>/dev/null && echo $i >>/tmp/won || true) & done; wait
		[ "$(wc -l </tmp/won)" = 1 ]; block remove 8; block remove 9; [ "$(attached r)" = null ]'
}

@test "a disk that was attached by hand is left alone" {
	in_guest 'D=$(sm vdi attach v); backend 1 v w
		wrong 1 1 "block-sm: VDI * is attached already, and not for a guest (try: sm vdi detach *)"
		block remove 1; [ "$(attached v)" = $D ]
		sm vdi detach v; block add 1
		# Somebody has it open: remove waits for him.
		sleep 1 <$D & block remove 1; wait; [ "$(attached v)" = null ]'
}

@test "killed anywhere in add or remove: remove clears it, and the guest can start again" {
	in_guest 'backend 1 disks/r w; export XENBUS_PATH=$B/1/51712
		killed() {	# killed add|remove: at every 41st system call, until it has no more
			local n rc
			for ((n = 3; ; n += 41)); do
				[ $1 = add ] || block add 1
				rc=0; dieat $n block-sm $1 || rc=$?
				[ $rc = 0 ] || [ $rc = 137 ]
				block remove 1
				[ "$(attached r)" = null ]
				[ $rc != 0 ] || break
			done
			[ $n -gt 60 ]
		}
		killed add; killed remove; [ -z "$(left 1)" ]
		block add 1; block remove 1' 120
}
