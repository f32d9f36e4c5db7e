#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The lab tests itself: what other test files rely on.
# shellcheck disable=SC2016,SC2154 # expanded in the guest, set by grun

setup_file() {
	load helpers/lab
	lab_start --disk one:64M --disk two:256M
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
}

@test "guest: status, output of both kinds, lines, arguments" {
	guest 'echo out; echo err >&2; echo "$1"; exit 7' 'a  b' || true
	[ "$status" -eq 7 ]
	[ "$output" = $'out\nerr\na  b' ]
	[ "${#lines[@]}" -eq 3 ]
	[ "${lines[2]}" = 'a  b' ]
	run ! guest 'false'
	run guest 'echo under run'
	[ "$output" = "under run" ]
}

@test "grun: stdout and stderr apart, arguments as they are" {
	grun sh -c 'echo out; echo err >&2; exit 3' || true
	[ "$status" -eq 3 ]
	[ "$output" = out ]
	[ "$stderr" = err ]
	grun printf '<%s>' 'a b' '' '$HOME' $'new\nline'
	[ "$output" = $'<a b><><$HOME><new\nline>' ]
	run ! grun /no/such/program
	grun /no/such/program || [ "$status" -eq 127 ]
}

@test "grun: a killed command, and one without output" {
	grun sh -c 'kill -SEGV $$' || true
	[ "$status" -eq 139 ]
	[ -z "$output" ]
	[ "${#lines[@]}" -eq 0 ]
}

@test "grun: binary output comes through byte for byte" {
	head -c 100000 /dev/urandom >"$BATS_TEST_TMPDIR/bytes"
	guest_put "$BATS_TEST_TMPDIR/bytes" /tmp/bytes
	grun cat /tmp/bytes >/dev/null
	cmp "$LAB_OUT" "$BATS_TEST_TMPDIR/bytes"
}

@test "grun: one MiB of output, and of errors" {
	grun sh -c 'head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2' >/dev/null
	[ "$(stat -c %s "$LAB_OUT")" -eq 1048576 ]
	[ "$(stat -c %s "$LAB_ERR")" -eq 1048576 ]
	guest 'seq 200000' >/dev/null
	[ "${#lines[@]}" -eq 200000 ]
}

@test "files go in and come out" {
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/a"
	guest_put "$BATS_TEST_TMPDIR/a" /run/a
	guest_ok 'cp /run/a /tmp/b; echo more >>/tmp/b'
	guest_get /tmp/b "$BATS_TEST_TMPDIR/b"
	echo more >>"$BATS_TEST_TMPDIR/a"
	cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	# The same name again: nobody may see old contents.
	echo new >"$BATS_TEST_TMPDIR/a"
	guest_put "$BATS_TEST_TMPDIR/a" /run/a
	guest 'cat /run/a'
	[ "$output" = new ]
}

@test "a background process neither delays an answer nor is killed by it" {
	SECONDS=0
	guest 'sleep 20 & echo $! >/tmp/pid; echo started'
	[ "$output" = started ]
	[ "$SECONDS" -lt 10 ]
	guest_ok 'kill $(cat /tmp/pid)'
}

@test "a hung command is answered with 124 and the guest goes on" {
	SECONDS=0
	guest -t 1 'echo before; sleep 1000 & sleep 1000' || true
	[ "$status" -eq 124 ]
	[ "${lines[0]}" = before ]
	[ "$SECONDS" -lt 8 ]
	guest 'echo alive; pidof sleep || true'
	[ "$output" = alive ]
}

@test "a command that sits in the kernel is left behind: 125" {
	guest_ok 'echo "0 8 zero" | judge dmsetup create stuck && judge dmsetup suspend stuck'
	grun -t 1 dd if=/dev/mapper/stuck of=/dev/null bs=512 count=1 iflag=direct || true
	[ "$status" -eq 125 ]
	[[ $stderr == *"does not die"* ]]
	guest_ok 'judge dmsetup resume stuck && sleep 0.1 && judge dmsetup remove stuck'
}

@test "the environment of a test" {
	guest 'touch /tmp/x /run/x /etc/x /var/x && echo ok; ls -d /dev/mapper/control /dev/loop0 /dev/nbd0'
	[ "${lines[0]}" = ok ]
	guest 'echo "${SM_ROOT-unset}"; ls /dev/lab; readlink /dev/lab/two; blockdev --getsize64 /dev/lab/two'
	[ "$output" = $'unset\none\ntwo\n/dev/ubdb\n268435456' ]
}

@test "judge: ext4 on a loop device, made, mounted and checked" {
	guest_ok 'truncate -s 32M /tmp/fs && losetup /dev/loop1 /tmp/fs && judge mkfs.ext4 -q /dev/loop1
		mkdir -p /mnt/fs && mount -t ext4 /dev/loop1 /mnt/fs && echo hello >/mnt/fs/f && umount /mnt/fs &&
		judge e2fsck -fn /dev/loop1 && losetup -d /dev/loop1'
}

@test "judge: dmsetup and lvm2" {
	guest_ok 'truncate -s 64M /tmp/pv && losetup /dev/loop2 /tmp/pv && judge pvcreate -q /dev/loop2 &&
		judge vgcreate -q vg /dev/loop2 && judge lvcreate -q -L 8M -n lv vg'
	guest 'judge lvs --noheadings -o lv_name,lv_size --units m vg; judge dmsetup table vg-lv'
	[[ $output == *"lv"*"8.00m"*"0 16384 linear"* ]]
	guest_ok 'dd if=/dev/zero of=/dev/vg/lv bs=4096 count=1 2>/dev/null && judge vgremove -q -f vg && losetup -d /dev/loop2'
}

@test "judge: qemu-img, in the directory and on the files of the guest" {
	guest_ok 'cd /tmp && judge qemu-img create -q -f vpc disk.vhd 16M && judge qemu-img info --output=json disk.vhd'
	[[ $output == *'"format": "vpc"'* ]]
	guest 'judge sh -c "exit 9"' || true
	[ "$status" -eq 9 ]
}

@test "judge: what it mounts is mounted here too" {
	guest_ok 'mkdir -p /mnt/shared && judge mount -t tmpfs t /mnt/shared && judge touch /mnt/shared/f &&
		test -e /mnt/shared/f && umount /mnt/shared && ! judge test -e /mnt/shared/f'
}

@test "modules on demand" {
	lab_mod dm-mirror scsi_debug
	guest_ok 'grep -q ^scsi_debug /proc/modules && grep -q ^dm_mirror /proc/modules'
	run ! lab_mod no_such_module
}

@test "messages to the system log" {
	guest_log on
	guest_ok 'logger -t SM hello'
	guest_ok 'until grep -q "SM: hello" /tmp/log/messages; do sleep 0.05; done'
	guest_log
	[[ $output == *"SM: hello"* ]]
}

@test "a power cut keeps what was written, and the guest starts again" {
	guest_ok 'echo kept | dd of=/dev/lab/one bs=512 conv=sync,fsync 2>/dev/null'
	lab_kill
	guest 'echo here' || true
	[ "$status" -eq 125 ]
	[[ $output == *"power was cut"* ]]
	lab_restart
	guest 'head -c 4 /dev/lab/one'
	[ "$output" = kept ]
}

@test "a power cut in the middle of a command" {
	guest 'i=0; while :; do echo $((i++)) >>/share/count; done' >"$BATS_TEST_TMPDIR/out" 3>&- &
	until [ -s "$LAB_DIR/a/share/count" ]; do sleep 0.05; done
	lab_kill
	wait $! || rc=$?
	[ "$rc" -eq 125 ]
	grep -q "power was cut" "$BATS_TEST_TMPDIR/out"
	size=$(stat -c %s "$LAB_DIR/a/share/count")
	sleep 0.2
	[ "$(stat -c %s "$LAB_DIR/a/share/count")" -eq "$size" ]	# nobody writes any more
	lab_restart
}

@test "a panic is seen at once" {
	SECONDS=0
	guest 'echo c >/proc/sysrq-trigger; sleep 100' || true
	[ "$status" -eq 125 ]
	[[ $output == *"panicked"* ]]
	[ "$SECONDS" -lt 2 ]
	lab_console | grep >/dev/null 'Kernel panic'
	lab_restart
}

@test "two guests share a disk" {
	lab_start -n b --shared common:16M
	lab_start -n c --shared common:16M --mods ""
	guest -n b 'echo from b | dd of=/dev/lab/common bs=512 conv=sync oflag=direct 2>/dev/null; hostname'
	[ "$output" = b ]
	guest -n c 'dd if=/dev/lab/common bs=512 count=1 iflag=direct 2>/dev/null | head -c 6'
	[ "$output" = "from b" ]
	lab_stop -n c			# b ends with the test
}

@test "a guest with the host's whole root directory" {
	lab_start -n h --root host
	guest -n h 'type -P qemu-img lvs && touch /etc/x /var/x && echo ok'
	[ "${lines[2]}" = ok ]
	lab_stop -n h
}

@test "what even the keeper could not remove goes when the next guest starts" {
	base=$BATS_TEST_TMPDIR
	mkdir -p "$base/smlab.dead" "$base/smlab.alive"
	touch "$base"/smlab.{dead,alive}/.alive
	exec 8<"$base/smlab.alive/.alive"
	flock -s 8
	_lab_sweep "$base"
	[ ! -e "$base/smlab.dead" ]
	[ -e "$base/smlab.alive" ]
	exec 8<&-
}

@test "a guest goes with its owner, even if that is killed" {
	bash -c 'unset LAB_DIR; . "$1/lab.bash"; lab_start; echo "$LAB_DIR"; kill -9 $$' - \
		"$BATS_TEST_DIRNAME/helpers" >"$BATS_TEST_TMPDIR/dir" || true
	dir=$(cat "$BATS_TEST_TMPDIR/dir")
	[ -n "$dir" ]
	for ((i = 0; i < 50; i++)); do
		[ -e "$dir" ] || break
		sleep 0.1
	done
	[ ! -e "$dir" ]
	run ! pgrep -f "uml_dir=$dir"
}
