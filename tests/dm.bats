#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Device-mapper on a real kernel, judged by dmsetup and lvm2.

setup_file() {
	load helpers/lab
	load helpers/dm
	lab_start --disk a:64M --disk b:64M
	dm_tool
	guest_ok 'judge true'
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/dm
	A=98:0 B=98:16		# /dev/ubda and /dev/ubdb
}

teardown() {
	guest 'for i in 1 2 3; do judge dmsetup remove_all -f; done; rm -rf /dev/vg* /tmp/root
		find /dev/mapper -mindepth 1 ! -name control -delete; kill $(pidof sleep)' >/dev/null 2>&1 || true
}

# lv_uuid N: a uuid as an LV has it.
lv_uuid() {
	printf 'LVM-%032d%032d' 7 "$1"
}

# activate NAME TABLE [KEY=VALUE…]
activate() {
	guest_ok "echo '$2' | dmt activate name='$1' ${*:3}" >/dev/null
}

@test "version: 4, and a minor number as dmsetup sees it" {
	guest_ok 'dmt version' >/dev/null
	ours=$output
	guest 'judge dmsetup version | sed -n "s/Driver version: *//p"' >/dev/null
	[[ $output == "$ours".* ]]
}

@test "the control node is made when it is missing" {
	guest_ok 'rm /dev/mapper/control && dmt version && [ -c /dev/mapper/control ]'
}

@test "call by call: create, load, resume, suspend, clear, rename, remove" {
	guest_ok 'dmt create name=one uuid=U-1' >/dev/null
	dev=$output
	prints 'dmt info name=one' "name=one uuid=U-1 dev=$dev open=0 events=0 targets=0"
	guest_ok "echo '0 100 linear $A 8' | dmt load uuid=U-1"
	prints 'dmt table name=one' ''
	prints 'dmt table name=one inactive=1' "0 100 linear $A 8"
	guest_ok 'dmt clear name=one'
	prints 'dmt info name=one' "name=one uuid=U-1 dev=$dev open=0 events=0 targets=0"
	guest_ok "echo '0 100 linear $A 8' | dmt load dev=$dev && dmt resume uuid=U-1"
	prints 'judge dmsetup table one' "0 100 linear $A 8"
	prints 'dmt table name=one' "0 100 linear $A 8"
	prints 'dmt deps name=one' "$A"
	guest_ok 'dmt suspend name=one && dmt suspend name=one'
	prints 'judge dmsetup info -c --noheadings -o suspended one' 'Suspended'
	prints 'dmt info name=one' "name=one uuid=U-1 dev=$dev open=0 events=0 targets=1 live suspended"
	guest_ok 'dmt resume name=one && dmt rename name=one to=two'
	refused ENXIO dmt info name=one
	prints 'judge dmsetup info -c --noheadings -o name,uuid' 'two:U-1'
	guest_ok 'dmt remove name=two'
	refused ENXIO dmt remove name=two
}

@test "who asks for no device, or for two, is told so" {
	refused EINVAL dmt info
	refused EINVAL dmt info name=a uuid=b
	refused EINVAL dmt info name=
	refused ENXIO dmt info dev=254:77
	refused ENAMETOOLONG dmt info "name=$(printf 'x%.0s' {1..128})"
}

@test "names and uuids are taken once" {
	guest_ok 'dmt create name=one uuid=U-1' >/dev/null
	refused EBUSY dmt create name=one
	refused EBUSY dmt create name=two uuid=U-1
	guest_ok 'dmt create name=two' >/dev/null
	refused EBUSY dmt rename name=one to=two
}

@test "names with odd characters are the same for dmsetup" {
	for name in 'a b' 'a/b' 'back\slash' 'ümlaut' "quote's" '*'; do
		grun dmt create "name=$name" "uuid=U $name" >/dev/null
		grun dmt info "name=$name" >/dev/null
		[[ $output == "name=$name uuid=U $name dev="* ]]
		grun dmt list >/dev/null
		[[ $output == *" $name U $name" ]]
		grun judge dmsetup info -c --noheadings -o name,uuid -u "U $name" >/dev/null
		[ "$output" = "$name:U $name" ]
		grun dmt remove "uuid=U $name"
		[ "$status" -eq 0 ]
	done
	# And what dmsetup made is found by us.
	grun judge dmsetup create 'their one' --notable >/dev/null
	grun dmt remove 'name=their one'
	[ "$status" -eq 0 ]
	guest_ok 'rm -f /dev/mapper/their*'
	no_dm
}

@test "list and tables of many devices: more than one buffer" {
	guest_ok 'dmt create_many name=dev n=150'
	guest 'dmt list | wc -l; dmt list | sort -u | wc -l; judge dmsetup ls | wc -l' >/dev/null
	[ "$output" = $'150\n150\n150' ]
	guest_ok "for ((i = 0; i < 2000; i++)); do echo \$((i * 8)) 8 linear $A \$((i * 16)); done >/tmp/table
		dmt activate name=big </tmp/table >/dev/null && dmt table name=big | cmp - /tmp/table &&
		judge dmsetup table big | cmp - /tmp/table"
}

@test "activate: device, table, node and link in one; again changes nothing" {
	uuid=$(lv_uuid 1)
	activate vg-lv "0 16384 linear $A 2048" uuid=$uuid group=vg volume=lv
	dev=$output
	prints 'judge dmsetup info -c --noheadings -o name,uuid vg-lv' "vg-lv:$uuid"
	prints 'stat -c "%t:%T %a %F" /dev/mapper/vg-lv; readlink /dev/vg/lv' \
		"$(printf '%x:%x' ${dev/:/ }) 600 block special file"$'\n/dev/mapper/vg-lv'
	guest_ok 'echo hello >/dev/vg/lv; sync'
	activate vg-lv "0 16384 linear $A 2048" uuid=$uuid group=vg volume=lv
	[ "$output" = "$dev" ]
	prints 'judge dmsetup info -c --noheadings -o events,open,suspended vg-lv' '0:0:Active'
	guest_ok "dd if=/dev/ubda bs=512 skip=2048 count=1 iflag=direct 2>/dev/null | head -c 5"
	[ "$output" = hello ]
	guest_ok "dmt deactivate name=vg-lv uuid=$uuid group=vg volume=lv"
	guest_ok "dmt deactivate name=vg-lv uuid=$uuid group=vg volume=lv"
	no_dm
}

@test "activate finishes what a death left, at every step" {
	uuid=$(lv_uuid 1)
	table="0 1024 linear $A 0"
	for left in 'true' \
		"echo '$table' | dmt load name=vg-lv" \
		"echo '0 8 zero' | dmt load name=vg-lv" \
		"echo '0 8 zero' | dmt load name=vg-lv && dmt resume name=vg-lv" \
		"echo '$table' | dmt load name=vg-lv && dmt resume name=vg-lv && dmt suspend name=vg-lv" \
		"echo '$table' | dmt load name=vg-lv && dmt resume name=vg-lv && echo '0 8 zero' | dmt load name=vg-lv" \
		"mknod /dev/mapper/vg-lv b 7 0 && mkdir -p /dev/vg && ln -s /nowhere /dev/vg/lv && ln -s /etc /dev/vg/.lv.new"; do
		guest_ok "dmt create name=vg-lv uuid=$uuid && $left" >/dev/null
		activate vg-lv "$table" uuid=$uuid group=vg volume=lv
		prints "dmt info name=vg-lv" "name=vg-lv uuid=$uuid dev=$output open=0 events=0 targets=1 live"
		prints 'dmt table name=vg-lv' "$table"
		guest_ok "cmp -n 1024 /dev/ubda /dev/vg/lv && dmt deactivate name=vg-lv group=vg volume=lv"
		no_dm
	done
}

@test "activate leaves another's device alone" {
	activate vg-lv "0 8 zero" "uuid=$(lv_uuid 1)"
	before=$(guest 'dmt info name=vg-lv')
	refused EEXIST sh -c "echo 0 8 error | dmt activate name=vg-lv uuid=$(lv_uuid 2)"
	refused EEXIST sh -c 'echo 0 8 error | dmt activate name=vg-lv'
	refused EEXIST sh -c "echo 0 8 error | dmt activate name=vg-other uuid=$(lv_uuid 1)"
	prints 'dmt info name=vg-lv' "$before"
	prints 'dmt table name=vg-lv' '0 8 zero'
}

@test "a table the kernel refuses leaves nothing behind" {
	refused EINVAL sh -c "echo 0 8 nosuchtarget | dmt activate name=vg-lv group=vg volume=lv"
	refused EINVAL sh -c "echo 0 999999999 linear $A 0 | dmt activate name=vg-lv"
	refused EINVAL sh -c "printf '0 8 zero\n9 8 zero\n' | dmt activate name=vg-lv"
	refused 'not a device-mapper table' sh -c 'echo 0 zero | dmt activate name=vg-lv'
	no_dm
}

@test "names in /dev: no link is followed, no file replaced" {
	guest_ok 'mkdir /tmp/root; ln -s /tmp/root /dev/vg'
	refused ELOOP sh -c 'echo 0 8 zero | dmt activate name=vg-lv group=vg volume=lv'
	guest_ok '[ -z "$(ls -A /tmp/root)" ] && rm /dev/vg && mkdir /dev/vg && echo mine >/dev/vg/lv'
	refused EEXIST sh -c 'echo 0 8 zero | dmt activate name=vg-lv group=vg volume=lv'
	prints 'cat /dev/vg/lv; rm -r /dev/vg' mine
	for name in group=../tmp volume=../../tmp/x group=a/b volume=.. group= group=mapper; do
		refused EINVAL sh -c "echo 0 8 zero | dmt activate $name name=vg-lv group=vg volume=lv"
	done
	guest_ok 'echo mine >/dev/mapper/vg-lv'
	refused EEXIST sh -c 'echo 0 8 zero | dmt activate name=vg-lv'
	prints 'cat /dev/mapper/vg-lv; rm /dev/mapper/vg-lv' mine
	no_dm
}

@test "links below another root, and their directory goes with the last" {
	activate vg-a "0 8 zero" group=vg volume=a root=/tmp/root
	activate vg-b "0 8 zero" group=vg volume=b root=/tmp/root
	prints 'ls /tmp/root/dev/vg; ls -d /dev/vg 2>/dev/null' $'a\nb'
	guest_ok 'dmt deactivate name=vg-a group=vg volume=a root=/tmp/root'
	prints 'ls /tmp/root/dev/vg' b
	guest_ok 'dmt deactivate name=vg-b group=vg volume=b root=/tmp/root && [ ! -e /tmp/root/dev/vg ]'
	no_dm
}

@test "reload: a file system in use grows, and its contents stay" {
	activate vg-lv "0 32768 linear $A 2048" group=vg volume=lv
	guest_ok 'judge mkfs.ext4 -qF /dev/vg/lv && mkdir -p /mnt/x && mount /dev/vg/lv /mnt/x &&
		head -c 5000000 /dev/urandom >/mnt/x/f && sha256sum </mnt/x/f >/tmp/sum
		(while :; do cat /tmp/sum >/mnt/x/g && sync; done) >/dev/null 2>&1 & echo $! >/tmp/pid'
	guest_ok "printf '0 32768 linear $A 2048\n32768 32768 linear $B 4096\n' | dmt reload name=vg-lv"
	prints 'blockdev --getsize64 /dev/vg/lv; kill $(cat /tmp/pid)' $((65536 * 512))
	guest_ok 'judge resize2fs /dev/vg/lv && sha256sum </mnt/x/f | cmp - /tmp/sum &&
		umount /mnt/x && judge e2fsck -fn /dev/vg/lv'
	# The same table again: nothing happens.
	guest_ok "printf '0 32768 linear $A 2048\n32768 32768 linear $B 4096\n' | dmt reload name=vg-lv"
	prints 'dmt info name=vg-lv | grep -o "targets.*"' 'targets=2 live'
}

@test "reload: a table that fails at the swap, and the old one goes on" {
	activate vg-lv "0 1024 linear $A 0"
	refused EINVAL sh -c "echo 0 1024 linear $A 999999999 | dmt reload name=vg-lv"
	prints 'dmt table name=vg-lv; dmt info name=vg-lv | grep -o "targets.*"' \
		"0 1024 linear $A 0"$'\ntargets=1 live'
	guest_ok 'dd if=/dev/mapper/vg-lv of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null'
}

@test "freeze and thaw around a commit; without the commit the old table goes on" {
	activate vg-lv "0 1024 linear $A 0"
	guest_ok "echo 0 2048 linear $A 0 | dmt freeze name=vg-lv commit=ok"
	prints 'dmt table name=vg-lv; dmt info name=vg-lv | grep -o "targets.*"' \
		"0 2048 linear $A 0"$'\ntargets=1 live'
	refused EIO sh -c "echo 0 4096 linear $A 0 | dmt freeze name=vg-lv commit=fail"
	prints 'dmt table name=vg-lv; dmt info name=vg-lv | grep -o "targets.*"' \
		"0 2048 linear $A 0"$'\ntargets=1 live'
	# Death in between: activate resumes.
	guest "echo 0 4096 linear $A 0 | dmt freeze name=vg-lv commit=die" >/dev/null 2>&1 || true
	prints 'dmt info name=vg-lv | grep -o "targets.*"' 'targets=1 live inactive suspended'
	activate vg-lv "0 2048 linear $A 0"
	prints 'dmt table name=vg-lv; dmt info name=vg-lv | grep -o "targets.*"' \
		"0 2048 linear $A 0"$'\ntargets=1 live'
}

@test "suspended: I/O waits, and comes through after the resume" {
	activate vg-lv "0 1024 linear $A 0"
	guest_ok 'dmt suspend name=vg-lv
		(echo late | dd of=/dev/mapper/vg-lv conv=sync,fsync 2>/dev/null; echo done >/tmp/done) & sleep 0.2
		[ ! -e /tmp/done ] && dmt resume name=vg-lv && until [ -e /tmp/done ]; do sleep 0.02; done; rm /tmp/done'
	prints 'dd if=/dev/ubda bs=512 count=1 iflag=direct 2>/dev/null | head -c 4' late
}

@test "read-only: by the table, there and back" {
	activate vg-lv "0 1024 linear $A 0" ro=1
	prints 'blockdev --getro /dev/mapper/vg-lv; judge dmsetup info -c --noheadings -o readonly vg-lv' $'1\nRead-only'
	run ! guest 'echo x | dd of=/dev/mapper/vg-lv conv=fsync 2>/dev/null'
	activate vg-lv "0 1024 linear $A 0"
	prints 'blockdev --getro /dev/mapper/vg-lv' 0
	guest_ok 'echo x | dd of=/dev/mapper/vg-lv conv=fsync 2>/dev/null'
}

@test "deactivate: who has it open is waited for, within the deadline" {
	activate vg-lv "0 1024 linear $A 0"
	guest_ok 'sleep 60 </dev/mapper/vg-lv & until [ "$(readlink /proc/$!/fd/0)" = /dev/mapper/vg-lv ]; do :; done'
	refused EBUSY dmt remove name=vg-lv
	SECONDS=0
	refused EBUSY dmt deactivate name=vg-lv wait=300
	[ "$SECONDS" -lt 4 ]
	guest_ok '[ -b /dev/mapper/vg-lv ]'
	guest_ok '(sleep 0.3; kill $(pidof sleep)) & dmt deactivate name=vg-lv'
	no_dm
}

@test "deactivate: mounted, or below another, is refused at once" {
	activate vg-lv "0 32768 linear $A 0"
	activate vg-top "0 8 linear $(guest 'dmt info name=vg-lv' | grep -o 'dev=[0-9:]*' | cut -c5-) 0"
	SECONDS=0
	refused EBUSY dmt deactivate name=vg-lv
	guest_ok 'dmt deactivate name=vg-top && judge mkfs.ext4 -qF /dev/mapper/vg-lv && mount /dev/mapper/vg-lv /mnt/x'
	refused EBUSY dmt deactivate name=vg-lv
	[ "$SECONDS" -lt 4 ]
	guest_ok 'umount /mnt/x && dmt deactivate name=vg-lv'
	no_dm
}

@test "remove later: with the last user, and only when asked for" {
	activate vg-lv "0 1024 linear $A 0"
	guest_ok 'sleep 60 </dev/mapper/vg-lv & until [ "$(readlink /proc/$!/fd/0)" = /dev/mapper/vg-lv ]; do :; done
		dmt remove name=vg-lv later=1'
	prints 'dmt info name=vg-lv | grep -o "targets.*"; judge dmsetup info vg-lv | grep -o DEFERRED' \
		$'targets=1 live later\nDEFERRED'
	guest_ok 'kill $(pidof sleep); for ((i = 0; i < 100; i++)); do dmt info name=vg-lv 2>/dev/null || break; sleep 0.02; done; [ $i -lt 100 ]'
	# Its node has outlived it, until somebody looks.
	guest_ok 'dmt deactivate name=vg-lv' && no_dm
}

@test "move: device, node and link; again changes nothing" {
	uuid=$(lv_uuid 1)
	activate vg-a "0 8 zero" uuid=$uuid group=vg volume=a
	for _ in 1 2; do
		guest_ok "dmt move name=vg-a uuid=$uuid group=vg volume=a to=vg-b to_volume=b"
		prints 'judge dmsetup ls | cut -f1; ls /dev/mapper /dev/vg; readlink /dev/vg/b' \
			$'vg-b\n/dev/mapper:\ncontrol\nvg-b\n\n/dev/vg:\nb\n/dev/mapper/vg-b'
	done
	guest_ok 'dmt deactivate name=vg-b group=vg volume=b'
	no_dm
}

@test "messages and status: a thin pool" {
	guest_ok 'dd if=/dev/zero of=/dev/ubda bs=4096 count=1 conv=fsync 2>/dev/null'
	activate vg-tmeta "0 8192 linear $A 0"
	meta=$output
	activate vg-tdata "0 65536 linear $B 0"
	activate vg-tpool "0 65536 thin-pool $meta $output 128 0 0"
	guest_ok 'dmt message name=vg-tpool text="create_thin 0"'
	refused EEXIST dmt message name=vg-tpool text='create_thin 0'
	refused EINVAL dmt message name=vg-tpool text='no such message'
	guest_ok 'dmt message name=vg-tpool text="set_transaction_id 0 1"'
	guest_ok 'dmt status name=vg-tpool' >/dev/null
	[[ $output == "0 65536 thin-pool 1 "*"/1024 0/512 - rw "* ]]
	[ "$output" = "$(guest 'judge dmsetup status vg-tpool')" ]
	guest_ok 'dmt message name=vg-tpool text="@stats_create - /100" ; dmt message name=vg-tpool text="@stats_list"' >/dev/null
	[[ $output == *"0: 0+65536"* ]]
	guest_ok 'dmt deactivate name=vg-tpool && dmt deactivate name=vg-tdata && dmt deactivate name=vg-tmeta'
	no_dm
}

# --- beside lvm2 ------------------------------------------------------------

vg_make() {
	guest_ok 'judge pvcreate -qffy /dev/ubda && judge vgcreate -q vg-x /dev/ubda &&
		judge lvcreate -q -an -Zn -L 8M -n a-1 vg-x && judge lvcreate -q -an -Zn -L 4M -n b vg-x' >/dev/null
	guest 'judge lvs --noheadings -o vg_uuid,lv_uuid vg-x/a-1 | tr -d " -"' >/dev/null
	UUID=LVM-$output
	[ ${#UUID} -eq 68 ]
}

vg_drop() {
	guest_ok 'judge vgremove -qff vg-x && judge pvremove -q /dev/ubda' >/dev/null
}

@test "lvm2 finds what we activated, uses it, renames and removes it" {
	vg_make
	activate vg--x-a--1 "0 16384 linear $A 2048" uuid=$UUID group=vg-x volume=a-1
	prints 'judge lvs --noheadings -o lv_active,lv_path,lv_dm_path,lv_device_open vg-x/a-1 | xargs' \
		'active /dev/vg-x/a-1 /dev/mapper/vg--x-a--1'
	guest_ok 'echo data | dd of=/dev/vg-x/a-1 conv=fsync 2>/dev/null; judge lvextend -qq -L 12M vg-x/a-1 && judge lvrename -q vg-x a-1 c'
	prints 'dmt table name=vg--x-c' "0 24576 linear $A 2048" ||
		prints 'dmt table name=vg--x-c' "0 16384 linear $A 2048"$'\n'"16384 8192 linear $A 26624"
	prints 'head -c 4 /dev/vg-x/c' data
	guest_ok 'judge lvchange -q -an vg-x/c && judge lvremove -q vg-x/c'
	vg_drop
	no_dm
}

@test "we find what lvm2 activated, change and remove it" {
	vg_make
	guest_ok 'judge lvchange -q -ay vg-x/a-1'
	prints 'dmt info name=vg--x-a--1 | cut -d" " -f1,2' "name=vg--x-a--1 uuid=$UUID"
	prints 'dmt table name=vg--x-a--1' "0 16384 linear $A 2048"
	activate vg--x-a--1 "0 16384 linear $A 2048" uuid=$UUID group=vg-x volume=a-1
	guest_ok "echo 0 16384 linear $A 2048 | dmt activate name=vg--x-a--1 uuid=$UUID ro=1 group=vg-x volume=a-1"
	prints 'judge lvs --noheadings -o lv_attr vg-x/a-1 | xargs' '-Ri-a-----'
	guest_ok "dmt deactivate name=vg--x-a--1 uuid=$UUID group=vg-x volume=a-1"
	prints 'judge lvs --noheadings -o lv_name,lv_active vg-x | xargs' 'a-1 b'
	no_dm
	vg_drop
}
