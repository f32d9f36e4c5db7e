#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An NFS server for the lab, in a network namespace of its own: 10.77.0.2, and
# fd77::2.  Run by "judge".
#
#	server.sh up DEVICE	XFS on it, exported as / (NFS 4) and /mnt/exp (NFS 3)
#	server.sh down		and it is gone
#	server.sh export OPTIONS|none	how it is exported from now on
#	server.sh start [ARG…]|stop	nfsd, its threads
#	server.sh unlisted|listed	the portmapper does not know of mountd, or does
#	server.sh disk DEVICE	a file system on it, exported as /disk; it is called "disk"
#	server.sh fails|works	every access to that device, or none
#	server.sh silent|talk	drop what is sent to the client, or no longer
#	server.sh hosts	other guests reach it by way of this one
#	server.sh names	a name server: filer.lab, and store.lab, another name of it
set -e
in_srv() { ip netns exec srv "$@"; }
export_as() {
	in_srv exportfs -ua
	[ "$1" = none ] || in_srv exportfs -o "$1,no_subtree_check,fsid=0,insecure" '*:/mnt/exp'
	[ "$1" = none ] || in_srv exportfs -o "$1,no_subtree_check,fsid=1,insecure" '*:/mnt/exp/ram'
	in_srv exportfs -f
}

case $1 in
up)
	ip netns add srv
	ip link add v0 type veth peer name v1
	ip link set v1 netns srv
	ip addr add 10.77.0.1/24 dev v0
	ip -6 addr add fd77::1/64 dev v0 nodad
	ip link set v0 up
	in_srv ip link set lo up
	in_srv ip addr add 10.77.0.2/24 dev v1
	in_srv ip -6 addr add fd77::2/64 dev v1 nodad
	in_srv ip link set v1 up
	mkfs.xfs -qf -m reflink=1 "$2"
	mkdir -p /mnt/exp
	mount "$2" /mnt/exp
	mkdir /mnt/exp/pool /mnt/exp/ram
	mount -t tmpfs none /mnt/exp/ram	# shares no blocks
	mount -t tmpfs none /var/lib/nfs
	mkdir -p /var/lib/nfs/{sm,sm.bak,v4recovery,rpc_pipefs} /run/rpcbind /run/lock
	: >/var/lib/nfs/etab
	: >/var/lib/nfs/rmtab
	in_srv rpcbind -w
	export_as rw,no_root_squash
	in_srv bash -c 'mount -t nfsd nfsd /proc/fs/nfsd && rpc.nfsd --grace-time 10 --lease-time 10 2 && rpc.mountd'
	;;
down)
	export_as none
	in_srv bash -c 'mount -t nfsd nfsd /proc/fs/nfsd; rpc.nfsd 0'
	pkill -x rpc.mountd || true
	pkill -x rpcbind || true
	ip link del v0
	ip netns del srv
	umount /var/lib/nfs /mnt/exp/ram /mnt/exp
	;;
export) export_as "$2" ;;
start) shift; in_srv bash -c 'mount -t nfsd nfsd /proc/fs/nfsd; rpc.nfsd "$@"' nfsd "$@" ;;
stop) in_srv bash -c 'mount -t nfsd nfsd /proc/fs/nfsd; rpc.nfsd 0' ;;
unlisted) for v in 1 2 3; do in_srv rpcinfo -d 100005 $v; done ;;
listed)
	pkill -x rpc.mountd
	while pgrep -x rpc.mountd >/dev/null; do sleep 0.05; done
	in_srv bash -c 'mount -t nfsd nfsd /proc/fs/nfsd; rpc.mountd'
	;;
names)
	in_srv dnsmasq -C /dev/null -u root -x /run/dnsmasq.pid --no-resolv --no-hosts --local=/lab/ \
		--host-record=filer.lab,10.77.0.2,fd77::2 --host-record=four.lab,10.77.0.2 --cname=store.lab,filer.lab
	;;
disk)
	dmsetup --noudevsync create disk --table "0 $(blockdev --getsz "$2") linear $2 0"
	dmsetup mknodes
	mkfs.ext4 -qF -O ^has_journal /dev/mapper/disk
	mkdir -p /mnt/exp/disk
	mount /dev/mapper/disk /mnt/exp/disk
	in_srv exportfs -o rw,no_root_squash,no_subtree_check,fsid=2,insecure '*:/mnt/exp/disk'
	dmsetup table disk >/tmp/disk.table
	;;
fails | works)
	[ "$1" = works ] || sync
	if [ "$1" = works ]; then cat /tmp/disk.table; else sed 's/linear.*/error/' /tmp/disk.table; fi |
		dmsetup --noudevsync load disk
	dmsetup --noudevsync suspend --noflush --nolockfs disk
	dmsetup --noudevsync resume disk
	echo 1 >/proc/sys/vm/drop_caches	# the inodes stay: a handle is not to be stale
	;;
hosts)
	echo 1 >/proc/sys/net/ipv4/ip_forward
	in_srv ip route add default via 10.77.0.1
	;;
silent) in_srv ip route add blackhole 10.77.0.1/32 ;;
talk) in_srv ip route del blackhole 10.77.0.1/32 ;;
esac
