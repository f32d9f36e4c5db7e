#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm vdi serve: disks on a socket, with other people's NBD clients as judges.
# With mounts of its own: root only.
load cli_helper
load ns_helper

setup() {
	ns_root
	cli_setup
	export T=$BATS_TEST_TMPDIR S=$BATS_TEST_TMPDIR/s
	export U="nbd+unix:///?socket=$S"
	mkdir "$T/store"
}

# The tests' text runs in a namespace of its own, with an SR named disks.
in_sr() {
	unshare -m bash -euo pipefail -c '
		serve() {	# serve VDI OPTION...: and wait until it can be connected to
			sm vdi serve "$1" --socket "$S" "${@:2}" &
			pid=$!
			# A socket may be there that a dead one left.
			for ((i = 0; i < 200; i++)); do
				if nbdinfo --size "$U" >/dev/null 2>&1; then return; fi
				kill -0 $pid
				sleep 0.02
			done
		}
		stop() { kill $pid; wait $pid; [ ! -e "$S" ]; }
		refused() { ! "$@" 2>"$T/why" && cat "$T/why"; }
		all_well() { if grep -i fail "$1"; then return 1; fi; }
		id() { sm $1 list --minimal; }
		# call COMMAND ARG: an XML-RPC call of SMAPIv1 for the one disk there is
		call() {
			member() { printf "<member><name>%s</name><value>%s</value></member>" "$@"; }
			printf "<methodCall><methodName>%s</methodName><params><param><value><struct>%s</struct></value></param></params></methodCall>" \
				$1 "$(member command $1; member args "<array><data><value>$2</value></data></array>"
				member device_config "<struct>$(member location "$T/store")</struct>"
				member sr_uuid "$(id sr)"; member vdi_uuid "$(id vdi)")"
		}
		trap "kill -9 \${pid:-} 2>/dev/null || :" EXIT
		sm sr create disks --type file --dconf location="$T/store" >/dev/null
		image() { echo "$T/store/$(sm vdi list --minimal --sr disks)".*; }
		'"$1"
}

each_format() {
	for format in raw vhd; do
		FORMAT=$format in_sr "sm vdi create disk --sr disks --size 64M --format $format >/dev/null;"'
			'"$1"'
			sm vdi delete disk; sm sr destroy disks'
	done
}

@test "vdi serve: clients see one disk, and what they write is in the image" {
	each_format '
		serve disk
		[ "$(stat -c %a "$S")" = 600 ]
		nbdinfo --json "$U" | jq -e ".exports[0] | .[\"export-size\"] == 67108864 and .can_flush and
			.can_fua and .can_trim and .can_zero and .can_fast_zero and .can_multi_conn and .can_df and
			.is_read_only == false and (.contexts | index(\"base:allocation\"))"
		nbdinfo --list "$U" >/dev/null
		head -c 20M /dev/urandom >"$T/data" && truncate -s 64M "$T/data"
		nbdinfo --map --json "$U" | jq -e "length == 1 and .[0].type == 3"
		nbdcopy --flush "$T/data" "$U"
		nbdinfo --map --json "$U" | jq -e "length == 2 and .[0].type == 0 and .[1].type == 3"
		qemu-img compare -f raw "$T/data" "$U"
		nbdcopy --connections=4 --request-size=33554432 "$U" "$T/copy"
		cmp "$T/data" "$T/copy"
		stop
		qemu-img compare -f raw -F ${FORMAT/vhd/vpc} "$T/data" "$(image)"
		sm image check "$(image)"'
}

@test "vdi serve: the disk is in use, by name of who serves it, until it ends" {
	in_sr '
		sm vdi create disk --sr disks --size 64M --format raw >/dev/null
		serve disk
		[ "$(sm vdi show disk --json | jq -r ".vdi.attached | .device, .mode, .backend" | paste -s -d" ")" = "$S rw socket" ]
		sm vdi list --json | jq -e ".vdis[0].attached | .pid == $pid and .io == null"
		refused sm vdi attach disk
		refused sm vdi attach disk --read-only
		# xapi gets the socket, and no device.
		FileSR "$(call vdi_attach true)" >"$T/reply"
		grep -q "<name>params_nbd</name><value><string>nbd:unix:$S:exportname=$(id vdi)</string>" "$T/reply"
		! grep -q "<name>params</name>" "$T/reply"
		refused sm vdi detach disk | grep "process $pid serves it on $S (try: kill $pid)"
		refused sm vdi delete disk
		refused sm sr detach disks
		refused sm vdi serve disk --socket "$T/other"
		[ ! -e "$T/other" ]
		stop
		sm vdi show disk --json | jq -e ".vdi.attached == null"
		serve disk --read-only
		nbdinfo --is read-only "$U"
		refused qemu-io -f raw -c "write 0 4k" "$U"
		stop
		touch "$S"
		refused sm vdi serve disk --socket "$S" | grep "File exists"
		sm vdi delete disk'
}

@test "vdi serve: random writes, zeroes and trims of fio, verified" {
	each_format '
		serve disk
		fio --name=x --ioengine=nbd --uri="$U" --size=48M --rw=randwrite --bsrange=512-128k --bs_unaligned=1 \
			--iodepth=16 --verify=crc32c --verify_fatal=1 --verify_state_save=0 --fsync=50 --number_ios=1500 >"$T/fio" ||
			{ cat "$T/fio"; false; }
		qemu-io -f raw -c "write -P 7 48M 16M" -c "write -z 49M 3M" -c "write -zu 53M 1000k" -c "discard 56M 3M" \
			-c "write -P 9 60000000 12345" -c flush -c "read -P 0 49M 3M" -c "read -P 0 53M 1000k" \
			-c "read -P 9 60000000 12345" -c "read -P 7 59M 500k" "$U" >"$T/io"
		all_well "$T/io"
		# Fast zeroes are holes, or refused; never slow.
		qemu-io -f raw -c "write -zun 48M 1M" -c "read -P 0 48M 1M" -c "read -P 7 52M 1000k" "$U" >"$T/io"
		all_well "$T/io"
		refused qemu-io -f raw -c "write -zn 52M 1M" "$U" | grep "not supported"
		qemu-io -f raw -c "read -P 7 52M 1000k" "$U" >"$T/io"; all_well "$T/io"
		nbdcopy "$U" "$T/copy"
		stop
		qemu-img compare -f raw -F ${FORMAT/vhd/vpc} "$T/copy" "$(image)"
		sm image check "$(image)"'
}

@test "vdi serve: one request at a time costs no switch between threads, and two are done at once again" {
	in_sr '
		calls() { awk -v name="$1" "\$NF == name { print \$4 }" "$T/calls"; }
		traced() {	# traced COMMAND...: and how often the server called what meanwhile
			strace -f -q -c -e trace=futex,pwrite64 -o "$T/calls" -p $pid & t=$!
			until grep >/dev/null "^TracerPid:.*[1-9]" /proc/$pid/status; do kill -0 $t; sleep 0.02; done
			"$@" >"$T/said" || { cat "$T/said"; false; }
			kill -INT $t; wait $t || :
		}
		load() {
			fio --name=x --ioengine=nbd --uri="$U" --size=16M --rw=randwrite --bs=4k --iodepth=$1 --number_ios=$2 \
				--verify=crc32c --verify_fatal=1 --verify_state_save=0 --do_verify=1
		}
		sm vdi create disk --sr disks --size 64M --format vhd >/dev/null
		serve disk
		head -c 16M /dev/zero | tr "\\0" x | nbdcopy -- - "$U"
		traced load 1 1000
		cat "$T/calls"; [ "$(calls pwrite64)" -ge 1000 ]; [ "$(calls futex)" -lt 400 ]
		load 8 1000 >"$T/said" || { cat "$T/said"; false; }
		load 2 1000 >"$T/said" || { cat "$T/said"; false; }
		stop; sm image check "$(image)"'
}

@test "vdi serve: killed while it writes, what was flushed is there and the image is sound" {
	each_format '
		for round in 1 2 3; do
			serve disk
			qemu-io -f raw -c "write -P $round 0 5000k" -c "write -P $round 40M 8M" -c flush "$U" >/dev/null
			fio --name=x --ioengine=nbd --uri="$U" --offset=8M --size=32M --rw=randwrite --bs=4k --iodepth=8 \
				--fsync=20 --time_based --runtime=20 >/dev/null 2>&1 &
			sleep 0.$round
			kill -9 $pid
			wait $! || :
			wait $pid || :
			sm vdi show disk --json | jq -e ".vdi.attached.device == null"
			sm image check "$(image)"
			serve disk
			qemu-io -f raw -c "read -P $round 0 5000k" -c "read -P $round 40M 8M" "$U" >"$T/io"
			all_well "$T/io"
			stop
		done'
}

@test "vdi serve: a leaf of a tree, whose parent stays as it was" {
	in_sr '
		sm vdi create disk --sr disks --size 64M --format vhd >/dev/null
		serve disk
		head -c 64M /dev/urandom >"$T/data"
		nbdcopy "$T/data" "$U"
		stop
		sm vdi snapshot disk before >/dev/null
		sum() { sha256sum "$(sm vdi list --json | jq -r ".vdis[] | select(.hidden) | \"$T/store/\(.uuid).vhd\"")"; }
		was=$(sum)
		serve disk
		qemu-img compare -f raw "$T/data" "$U"
		for at in 0 1234567 33554000; do
			dd if=/dev/urandom of="$T/data" bs=1 seek=$at count=3000 conv=notrunc status=none
			dd if="$T/data" of="$T/part" iflag=skip_bytes,count_bytes skip=$at count=3000 status=none
			qemu-io -f raw -c "write -s $T/part $at 3000" "$U" >/dev/null
		done
		truncate -s 40M "$T/data"; truncate -s 64M "$T/data"
		qemu-io -f raw -c "write -z 40M 24M" "$U" >/dev/null
		nbdcopy "$U" "$T/copy"
		cmp "$T/data" "$T/copy"
		stop
		[ "$(sum)" = "$was" ]
		serve disk
		qemu-img compare -f raw "$T/data" "$U"
		stop'
}

@test "vdi serve: strangers and crowds are turned away, and the others go on" {
	in_sr '
		sm vdi create disk --sr disks --size 64M --format raw >/dev/null
		serve disk
		for text in "" "GET / HTTP/1.1" "$(head -c 3000 /dev/zero | tr "\0" A)"; do
			python3 -c "
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); s.shutdown(1)
while s.recv(4096): pass" "$S" "$text"
		done
		python3 -c "
import socket, subprocess, sys
def client():
    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1]); return s
some = [client() for i in range(16)]
assert all(len(s.recv(18)) == 18 for s in some)
assert client().recv(18) == b\"\"
some.pop().close()
for i in range(100):
    if len(client().recv(18)) == 18: break
else: raise SystemExit(\"no room after one has left\")" "$S"
		nbdinfo --size "$U"
		stop'
}
