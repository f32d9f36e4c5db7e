#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The main job, each command and its answer, run in a guest of the lab.  The
# first command that does not do as it should ends the demo with status 1.

if [ -n "${NO_COLOR-}" ]; then
	bold='' dim='' off=''
else
	bold=$'\e[1;36m' dim=$'\e[2m' off=$'\e[0m'
fi

say() { printf '\n%s# %s%s\n' "$dim" "$*" "$off"; }
prompt() { printf '%s$ %s%s\n' "$bold" "$1" "$off"; }

wrong() {
	printf 'demo: %s\n' "$1" >&2
	exit 1
}

# Show a command as one would type it, then run it; the last line of the answer is in $answer.
t() {
	local status=0

	prompt "$1"
	eval "$1" >/tmp/answer 2>&1 || status=$?
	cat /tmp/answer
	[ $status -eq 0 ] || wrong "that ended with status $status and should have worked"
	answer=$(tail -n 1 /tmp/answer)
}

# f STATUS COMMAND: a command that is right to fail, in just this way.
f() {
	local status=0

	prompt "$2"
	eval "$2" 2>&1 || status=$?
	printf '%s(exit status %s)%s\n' "$dim" $status "$off"
	[ $status -eq "$1" ] || wrong "that should have ended with status $1"
}

# is WHAT HAVE WANT: what a reader would see for himself is checked for the others.
is() {
	[ "$2" = "$3" ] || wrong "$1: $2, not $3"
}

# x COMMAND VDI [ARG…]: a call as xapi makes it, and the answer a member a line.
x() {
	local command=$1 vdi=$2 args='' arg dconf

	shift 2
	for arg; do
		args+="<value>$arg</value>"
	done
	dconf='<struct><member><name>SRmaster</name><value>true</value></member>'
	dconf+='<member><name>location</name><value>/srv/disks</value></member></struct>'
	set -- host_ref OpaqueRef:h1 command "$command" sr_uuid "$disks" vdi_uuid "$vdi" vdi_type user
	call="<methodCall><methodName>$command</methodName><params><param><value><struct>"
	while [ $# -gt 0 ]; do
		call+="<member><name>$1</name><value>$2</value></member>"
		shift 2
	done
	call+="<member><name>args</name><value><array><data>$args</data></array></value></member>"
	call+="<member><name>device_config</name><value>$dconf</value></member>"
	call+='</struct></value></param></params></methodCall>'
	args=${args/<value>of web1*/}
	prompt "FileSR '<methodCall><methodName>$command</methodName>…${args:+<data>$args…}'"
	FileSR "$call" >/tmp/answer || wrong "that ended with status $?"
	sed 's/<member>/\n  &/g; s/<\/struct>/\n&/g; s/<\/*\(methodResponse\|params\|param\)>//g' /tmp/answer |
		sed 's/\(.\{140\}\).\{2,\}/\1…/'
	! grep -q '<fault>' /tmp/answer || wrong "that should have worked"
}

disks=''
say "A person makes a storage repository (SR) in a directory, and a disk (VDI) in it"
t 'sm sr create disks --type file --dconf location=/srv/disks'
t 'sm vdi create root --sr disks --format raw --size 64M --description "root disk of web1"'
t 'sm vdi list'

say "Attached, it is a block device: write something to it.  What is in use is not deleted"
t 'sm vdi attach root'
dev=$answer
t "echo 'hello from dom0' | dd of=$dev conv=fsync 2>/dev/null; head -c 16 $dev"
is "read back" "$answer" 'hello from dom0'
f 3 'sm vdi delete root'

say "It grows while it is in use, and what was written stays"
t 'sm vdi resize root 128M'
t "blockdev --getsize64 $dev; head -c 16 $dev"
is "the device" "$(tr '\n' ' ' </tmp/answer)" '134217728 hello from dom0 '
t 'sm vdi show root'
t 'sm vdi detach root'

say "An agent has the SR-API of 2007: arguments in order, s-expressions back"
prompt 'SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 VDI=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21'
SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 VDI=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
export SR VDI
# shellcheck disable=SC2016 # expanded by t
{
t 'sm sr_create -t file -d /srv $SR'
t 'sm sr_attach -t file -d /srv $SR'
t 'sm vdi_create -t file -d /srv $SR $VDI 16'
t 'FileSR vdi_attach /srv $SR $VDI'
t "echo 'hello from the agent' | dd of=$answer conv=fsync 2>/dev/null; head -c 21 $answer"
is "read back" "$answer" 'hello from the agent'
f 103 'sm vdi_delete -t file -d /srv $SR $VDI'
t 'sm vdi_detach -t file -d /srv $SR $VDI'
t 'sm vdi_resize -t file -d /srv $SR $VDI 32'
t 'sm vdi_get_params -t file -d /srv $SR $VDI'
t 'sm vdi_delete -t file -d /srv $SR $VDI'
t 'sm sr_detach -t file -d /srv $SR && sm sr_delete -t file -d /srv $SR'
}

say "And xapi executes the driver by its name, with XML-RPC: here on the person's SR"
# shellcheck disable=SC2016 # expanded by t
t 'disks=$(sm sr list --minimal)'
x vdi_create "$VDI" 16777216 swap 'of web1' false false 19700101T00:00:00Z OpaqueRef:NULL false
x vdi_attach "$VDI" true
x vdi_activate "$VDI" true
# shellcheck disable=SC2016 # expanded by t
t 'dev=/dev/sm/backend/$disks/$VDI; ls -l $dev'
# shellcheck disable=SC2016 # expanded by t
t "echo 'hello from xapi' | dd of=\$dev conv=fsync 2>/dev/null; head -c 16 \$dev"
is "read back" "$answer" 'hello from xapi'
t 'sm vdi list'
x vdi_deactivate "$VDI"
x vdi_detach "$VDI"
x vdi_delete "$VDI"

say "A VHD gets a snapshot while it is written: the writer waits for a moment, and goes on on another image"
# shellcheck disable=SC2016 # expanded by t
{
t 'sm vdi create web2 --sr disks --size 64M && dev=$(sm vdi attach web2)'
writes() {
	local n

	for ((n = 1; ; n++)); do
		printf '%-511s\n' "write $n" | dd of="$dev" bs=512 seek=$n oflag=direct conv=notrunc 2>/dev/null
	done
}
last() { head -c 1048576 "$1" | tr -d '\0' | sed 's/ *$//' | tail -n 1; }
t 'writes & sleep 1'
t 'sm vdi snapshot web2 before'
t 'sm vdi resize web2 128M; blockdev --getsize64 $dev'
is "the device" "$answer" 134217728
t 'sleep 1; kill $!; wait $! || sm vdi tree disks'
t 'last $(sm vdi attach before --read-only); last $dev'
first=$(head -n 1 /tmp/answer)
[ "${first#write }" -gt 0 ] && [ "${answer#write }" -gt "${first#write }" ] ||
	wrong "the snapshot is no earlier moment of the disk"
t 'for v in before web2; do sm vdi detach $v && sm vdi delete $v; done'
}

say "The same on a bare disk: logical volumes, as XenServer lays them out, and no lvm2 has a hand in it"
# shellcheck disable=SC2016 # expanded by t
{
t 'sm sr create vols --type lvm --dconf device=/dev/ubda'
t 'sm vdi create db1 --sr vols --format raw --size 64M --description "data of db1"'
t 'dev=$(sm vdi attach db1); echo $dev'
t 'echo "hello from the VG" | dd of=$dev conv=fsync 2>/dev/null'
t 'sm vdi resize db1 128M; head -c 17 $dev'
is "read back" "$answer" 'hello from the VG'

say "Debian's own lvm2 sees what we have made, and what it changes we see"
lvs() { judge lvs "$@"; }
vgck() { judge vgck "$@"; }
lvextend() { judge lvextend "$@"; }
t 'vgck && lvs -o lv_name,lv_size,lv_active'
is "lines with a volume of 128 MiB in use" "$(grep -c ' 128.00m  *active' /tmp/answer)" 1
t 'lvextend -L 192M $(lvs --noheadings --separator / -o vg_name,lv_name | grep LV-) >/dev/null && sm vdi list --sr vols'
is "disks of 192 MiB" "$(grep -c ' 192 MiB ' /tmp/answer)" 1

say "A disk that belongs to somebody is not taken, whatever one says"
t 'sm vdi detach db1'
f 1 'sm sr create other --type lvm --dconf device=/dev/ubda --force'
t 'sm vdi delete db1 && sm sr destroy vols'
}

say "Clean up: an SR that still holds a disk is not thrown away"
f 1 'sm sr destroy disks'
t 'sm vdi delete root && sm sr destroy disks && sm sr list'
is "left behind" "$(find /srv /dev/sm /run/sm /run/sr-mount ! -type d)" ''
