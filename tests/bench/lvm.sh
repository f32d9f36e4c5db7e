#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# lvm.sh BUILD: changes of a VG of 10, 1,000 and 10,000 LVs beside lvm2's own
# commands, each a process from exec to exit, in turns on the same VG.  vgt
# (tests/lab/tools) is the library without an SR around it: it does what lvcreate
# -an does, and no more.
#
# Times are processor time on this host, on a file in memory; blkfile.c makes lvm2
# believe that it is a disk, and its configuration spares it every search that it
# could do without.  Requests are counted where they cannot be missed, at the disk of a
# guest.  LVS="10 1000" measures only these.

. "$(dirname "$0")/common.bash"
# shellcheck source=tests/helpers/lab.bash
. "$bench/../helpers/lab.bash"
# shellcheck source=tests/helpers/dm.bash
. "$bench/../helpers/dm.bash"
sizes=${LVS:-10 1000 10000} most=16384

# --- on the host ------------------------------------------------------------------

mem=$(mktemp -d "$(_lab_base)/bench.XXXXXX")
at_end+=("rm -rf $mem")
mkdir "$mem/dev" "$tmp/etc"
pv=$mem/dev/pv
cat >"$tmp/etc/lvm.conf" <<END
devices {
	dir = "$mem/dev" scan = [ "$mem/dev" ] hints = "none" use_devicesfile = 0
	obtain_device_list_from_udev = 0 external_device_info_source = "none"
	sysfs_scan = 0 multipath_component_detection = 0 md_component_detection = 0
}
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
global { locking_dir = "$tmp/lock" activation = 0 event_activation = 0 use_lvmpolld = 0 }
backup { backup = 0 archive = 0 }
END
cat >"$tmp/lvm2" <<END
#!/bin/sh
exec env LVM_SYSTEM_DIR=$tmp/etc LVM_SUPPRESS_FD_WARNINGS=1 BLKFILE=$pv LD_PRELOAD=$tmp/blkfile.so lvm "\$@"
END
chmod +x "$tmp/lvm2"
gcc -shared -fPIC -O1 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$tmp/blkfile.so" "$bench/blkfile.c" -ldl
vgt=$("$bench/../lab/tools/build.sh" "$build" vgt)
v="$vgt $pv"

# changes N ROUNDS OURS LVM2: a VG of N LVs is there, in the guest or here.
changes() {
	local v=$3 l=$4

	# shellcheck disable=SC2086 # commands of several words
	"${@:5}" -n "$2" \
		--- $v create ours 8388608 --- $l lvcreate -qq -an -Zn -Wn -y -L 8m -n peer vg \
		--- $v resize ours 16777216 --- $l lvextend -qq -L 16m vg/peer \
		--- $v tag ours word --- $l lvchange -qq --addtag word vg/peer \
		--- $v show \
		--- $l lvs --reportformat json --units b -o lv_name,lv_uuid,lv_size,lv_tags,lv_attr,seg_type vg \
		--- $v remove ours --- $l lvremove -qq -y vg/peer
	row 'create' 0 1 "$times" $most
	row 'resize' 2 3 "$times" $most
	row 'tag' 4 5 "$times" $most
	row 'list' 6 7 "$times" $most
	row 'delete' 8 9 "$times" $most
}

for n in $sizes; do
	rm -f "$pv"
	truncate -s 64G "$pv"
	$v new vg 4194304 16000000
	$v fill lv 4194304 "$n"
	head_line "VG of $n LVs, processor time" cpu
	times=$((n < 10000 ? 0 : 30))
	changes "$n" "${RUNS:-9}" "$v" "$tmp/lvm2" measure
done

# One commit, however many LVs it touches; lvm2 makes one of each.
rm -f "$pv"
truncate -s 64G "$pv"
$v new vg 4194304 16000000
$v fill lv 4194304 1000
head_line "1,000 LVs of 1,000, processor time" cpu
# shellcheck disable=SC2046,SC2086
measure -n 1 --- $v tag_many word 1000 --- "$tmp/lvm2" lvchange -qq --addtag word2 $(printf 'vg/lv%d ' $(seq 0 999))
row 'tag' 0 1 30 $most

# --- in a guest ----------------------------------------------------------------------

export LAB_MUST=1
lab_start --mem 384M --disk big:64G >&2
at_end+=(lab_stop)
dm_tool vgt >/dev/null
for n in $sizes; do
	[ "$n" -le 1000 ] || continue		# the rest is only more of the text
	guest_ok -t 60 "vgt /dev/ubda new vg 4194304 16000000 && vgt /dev/ubda fill lv 4194304 $n && judge true" >/dev/null
	head_line "VG of $n LVs, a guest's disk" wall
	times=0
	changes "$n" 3 '/sm/bin/vgt /dev/ubda' 'judge lvm' measure_guest -d ubda
done

# The verbs themselves, which also keep names in MGT and wipe what they make.
sr=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 vdi=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e12
vg=VG_XenStorage-$sr
guest_ok -t 60 'dd if=/dev/zero of=/dev/ubda bs=1M count=16 2>/dev/null' >/dev/null
guest_ok -t 60 "sm sr create disks --type lvm --dconf device=/dev/ubda --uuid $sr &&
	vgt /dev/ubda fill LV-00000000-0000-4000-8000- 4194304 1000 100000000000" >/dev/null
head_line "SR of 1,000 VDIs, a guest's disk" wall
measure_guest -n 3 -d ubda \
	--- sm vdi create one --sr disks --format raw --size 8M --uuid $vdi --- judge lvm lvcreate -qq -y -L 8m -n peer "$vg" \
	--- sm vdi resize $vdi 16M --- judge lvm lvextend -qq -L 16m "$vg/peer" \
	--- sm vdi list --sr disks --- judge lvm lvs -o lv_name,lv_size,lv_tags "$vg" \
	--- sm vdi delete $vdi --- judge lvm lvremove -qq -y "$vg/peer"
row 'create' 0 1
row 'resize' 2 3
row 'list' 4 5
row 'delete' 6 7
verdict
