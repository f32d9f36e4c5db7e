#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The main job, each command and its answer, run in a guest of the lab.

bold=$'\e[1;36m' dim=$'\e[2m' off=$'\e[0m'

say() { printf '\n%s# %s%s\n' "$dim" "$*" "$off"; }

# Show a command as one would type it, then run it; the last line of the answer is in $answer.
t() {
	printf '%s$ %s%s\n' "$bold" "$1" "$off"
	if ! eval "$1" >/tmp/answer 2>&1; then
		cat /tmp/answer
		echo "demo: this should have worked" >&2
		exit 1
	fi
	cat /tmp/answer
	answer=$(tail -n 1 /tmp/answer)
}

# A command that is right to fail.
f() {
	printf '%s$ %s%s\n' "$bold" "$1" "$off"
	if eval "$1" 2>&1; then
		echo "demo: this should have been refused" >&2
		exit 1
	fi
}

mkdir -p /srv
say "A person makes a storage repository (SR) in a directory, and a disk (VDI) in it"
t 'sm sr create disks --type file --dconf location=/srv/disks'
t 'sm vdi create root --sr disks --size 64M --description "root disk of web1"'
t 'sm vdi list'

say "Attached, it is a block device: write something to it"
t 'sm vdi attach root'
dev=$answer
t "echo 'hello from dom0' | dd of=$dev conv=fsync 2>/dev/null; head -c 16 $dev"
f 'sm vdi delete root'

say "It grows while it is in use, and what was written stays"
t 'sm vdi resize root 128M'
t "blockdev --getsize64 $dev; head -c 16 $dev"
t 'sm vdi detach root'

say "An agent does the same through the SR-API of 2007: arguments in order, s-expressions back"
SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 VDI=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
t "sm sr_create -t file -d /srv $SR"
t "sm sr_attach -t file -d /srv $SR"
t "sm vdi_create -t file -d /srv $SR $VDI 16"
t "FileSR vdi_attach /srv $SR $VDI"
t "sm vdi_get_params -t file -d /srv $SR $VDI"
t "sm vdi_detach -t file -d /srv $SR $VDI"
t "sm vdi_delete -t file -d /srv $SR $VDI"
t "sm sr_detach -t file -d /srv $SR"
t "sm sr_delete -t file -d /srv $SR"

say "And xapi, which speaks XML-RPC to a driver it executes by name"
xml="<methodCall><methodName>sr_get_driver_info</methodName><params><param><value><struct><member><name>host_ref</name><value>OpaqueRef:NULL</value></member><member><name>command</name><value>sr_get_driver_info</value></member><member><name>args</name><value><array><data/></array></value></member><member><name>device_config</name><value><struct/></value></member></struct></value></param></params></methodCall>"
printf "%s\$ FileSR '<methodCall><methodName>sr_get_driver_info</methodName>…'%s\n" "$bold" "$off"
FileSR "$xml" | tr -d '\n' | cut -c1-400
echo

say "Clean up: an SR that still holds a disk is not thrown away"
f 'sm sr destroy disks'
t 'sm vdi delete root && sm sr destroy disks && sm sr list'
say "Done."
