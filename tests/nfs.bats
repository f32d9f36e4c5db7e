#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# NFS SRs against the kernel's own server, which is well, or away, or refuses:
# what works, and within which time what does not work is told, and how.

setup_file() {
	load helpers/lab
	load helpers/dm
	lab_start --mem 384M --disk a:512M --mods \
		loop,dm-mod,nbd:nbds_max=4:max_part=0,nfs,nfsv3,nfsv4,nfsd,veth,ipv6
	guest_put tests/nfs/server.sh /tmp/server.sh
	guest_ok -t 150 'judge bash /tmp/server.sh up /dev/ubda'
	dm_tool rpct
	dm_tool dnst
	dm_tool nfst
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_NFS FRONT_CLI
	A=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
}

teardown() {
	guest 'for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for s in $(sm sr list --minimal | tr , " "); do sm sr forget $s; done
		umount -f /run/sr-mount/* ; rmdir /run/sr-mount/*; rm -rf /etc/smtab
		judge sh -c "rm -rf /mnt/exp/pool/* /mnt/exp/pool/.sm"' >/dev/null 2>&1 || true
}

server() { guest_ok -t 60 "judge bash /tmp/server.sh $*" >/dev/null; }

# path VERSION: the exported directory, as that version calls it.
path() { case $1 in 3) echo /mnt/exp/pool ;; *) echo /pool ;; esac; }

# at VERSION [KEY=VALUE…]: the arguments that say where the SR is.
at() {
	local kv

	printf ' --type nfs --dconf server=10.77.0.2 --dconf serverpath=%s --dconf nfsversion=%s' "$(path "$1")" "$1"
	for kv in "${@:2}"; do printf ' --dconf %s' "$kv"; done
}

# create VERSION [KEY=VALUE…]: the SR "n", whose uuid is A.
create() { guest_ok "sm sr create n --uuid $A $(at "$@")" >/dev/null; }

# within SECONDS STATUS PATTERN CMD…: it fails in that time, so, with one line.
within() {
	local limit=$1 began=$SECONDS

	shift
	fails "$@"
	[ $((SECONDS - began)) -le "$limit" ] || {
		echo "$((SECONDS - began)) s, not $limit: ${*:3}" >&2
		return 1
	}
}

@test "every version: disks of both formats live, a probe finds the SR" {
	for v in 3 4.2 4.0 4.1 4; do
		create $v
		if [ "$v" != 3 ] && [ "$v" != 4.2 ]; then
			[ $v = 4 ] && got=4.2 || got=$v		# the highest that both have
			guest_ok "grep -q vers=$got, /proc/mounts && sm sr destroy n"
			continue
		fi
		guest_ok "grep -q ' /run/sr-mount/$A nfs' /proc/mounts
			sm vdi create r --sr n --size 8M --format raw && dev=\$(sm vdi attach r)
			echo hello | dd of=\$dev conv=fsync 2>/dev/null && sm vdi detach r
			sm vdi resize r 16M && dev=\$(sm vdi attach r) && head -c 5 \$dev; sm vdi detach r" >/dev/null
		[[ $output == *hello ]]
		guest_ok "sm vdi create d --sr n --size 8M --format vhd && dev=\$(sm vdi attach d)
			echo world | dd of=\$dev conv=fsync 2>/dev/null && sm vdi detach d
			sm vdi snapshot d s && dev=\$(sm vdi attach d) && head -c 5 \$dev; sm vdi detach d" >/dev/null
		[[ $output == *world ]]
		guest_ok 'sm sr check n && for x in r d s; do sm vdi delete $x; done; sm sr scan n'
		grun sm sr probe $(at $v) --minimal
		[ "$output" = "$A" ]
		guest_ok "sm sr detach n && sm sr attach n && sm sr destroy n"
		guest_ok '[ -z "$(ls -A /run/sr-mount)" ] && judge sh -c "[ -z \"\$(ls -A /mnt/exp/pool)\" ]"'
	done
}

@test "by name and by IPv6; attached twice; mounted by another; nosubdir" {
	guest_ok 'printf "10.77.0.2 filer\nfd77::2 filer6\n" >/etc/hosts'
	guest_ok "sm sr create n --type nfs --dconf server=filer --dconf serverpath=/pool --dconf nfsversion=4.2
		grep -q '^filer:/pool/.*addr=10.77.0.2' /proc/mounts && sm sr attach n && sm sr destroy n"
	for v in 3 4.1; do
		for s in fd77::2 filer6; do
			guest_ok "sm sr create n --type nfs --dconf server=$s --dconf serverpath=$(path $v) --dconf nfsversion=$v
				grep -q 'proto=tcp6.*addr=fd77::2' /proc/mounts && sm sr destroy n"
		done
	done
	# By its first address it cannot be reached: the next one is asked.
	guest_ok 'printf "127.0.0.1 two\n10.77.0.2 two\n" >/etc/hosts; sm sr probe --type nfs --dconf server=two | grep /mnt/exp'
	create 4.1 nosubdir=true
	guest_ok "grep -q '^10.77.0.2:/pool /run' /proc/mounts"
	grun sm sr probe $(at 4.1) --json
	doc=$output
	is ".srs[0].uuid == \"$A\" and .srs[0].dconf.nosubdir == \"true\""
	guest_ok "sm sr detach n && mount -t tmpfs none /run/sr-mount/$A 2>/dev/null || { mkdir -p /run/sr-mount/$A; mount -t tmpfs none /run/sr-mount/$A; }"
	fails 3 '*is no mount of NFS*' sm sr attach n
	guest_ok "umount /run/sr-mount/$A; sm sr attach n && sm vdi create v --sr n --size 4M --format raw && mkdir -p /tmp/m &&
		mount --bind /run/sr-mount/$A /tmp/m && sm sr detach n && mkdir -p /run/sr-mount/$A && mount --bind /tmp/m /run/sr-mount/$A &&
		umount /tmp/m && sm sr attach n && [ \$(grep -c ' /run/sr-mount/$A ' /proc/mounts) = 1 ] &&
		sm vdi attach v && sm vdi detach v && sm vdi delete v && sm sr detach n && ! grep ' /run/sr-mount/' /proc/mounts"
	# Of another directory of that server.
	guest_ok "sm sr create m $(at 4.1) && mkdir -p /run/sr-mount/$A && mount --bind /run/sr-mount/\$(sm sr show m --minimal) /run/sr-mount/$A"
	fails 3 '*10.77.0.2:/pool/* is mounted at *, not 10.77.0.2:/pool *' sm sr attach n
	guest_ok "umount /run/sr-mount/$A && sm sr destroy m && sm sr attach n && sm sr destroy n"
}

@test "names: of a name server, with aliases and search lists; one that lies, fails or is silent" {
	server names
	guest_ok 'printf "nameserver 10.77.0.2\nsearch nowhere.lab lab\n" >/etc/resolv.conf'
	for s in store filer.lab four; do
		guest_ok "sm sr create n --type nfs --dconf server=$s --dconf serverpath=/pool --dconf nfsversion=4.2
			grep ^$s: /proc/mounts; sm sr destroy n" >/dev/null
		case $s in four) [[ $output == *addr=10.77.0.2* ]] ;; *) [[ $output == *addr=fd77::2* ]] ;; esac
	done
	within 2 1 '*server nobody.lab: the name is not known*/etc/resolv.conf*' sm sr probe --type nfs --dconf server=nobody.lab
	guest_ok 'kill $(cat /run/dnsmasq.pid); echo "nameserver 127.0.0.1" >/etc/resolv.conf'
	within 2 1 '*no name server answers*/etc/resolv.conf*' sm sr probe --type nfs --dconf server=store.lab
	for mode in liar cut one fails none flood; do
		guest_ok "dnst $mode >/tmp/ready & until grep -q ready /tmp/ready; do sleep 0.02; done" >/dev/null
		case $mode in
		fails) within 2 1 '*the name servers cannot say*' sm sr probe --type nfs --dconf server=store.lab ;;
		none) within 2 1 '*the name is not known*' sm sr probe --type nfs --dconf server=store.lab ;;
		flood) within 10 1 '*no name server answers*' sm sr probe --type nfs --dconf server=store.lab ;;
		*) guest_ok 'sm sr probe --type nfs --dconf server=store.lab | grep /mnt/exp' ;;
		esac
		guest_ok 'killall -9 dnst; rm -f /tmp/ready'
	done
	guest_ok 'printf "nameserver 10.99.0.9\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n" >/etc/resolv.conf; dnst half >/tmp/ready &
		until grep -q ready /tmp/ready; do sleep 0.02; done' >/dev/null
	within 4 1 '*the name servers cannot say*' sm sr probe --type nfs --dconf server=store.lab
	guest_ok 'killall -9 dnst; rm -f /tmp/ready /etc/resolv.conf'
}

@test "what a server has: exports of mountd, names of NFS 4, for people and for xapi" {
	grun sm sr probe --type nfs --dconf server=10.77.0.2 --dconf probeversion=true --json
	doc=$output
	is '.exports[0] == {"server":"10.77.0.2","path":"/mnt/exp","hosts":"*"} and .exports[1].path == "/mnt/exp/ram" and .versions == "3,4"'
	xml='<methodCall><methodName>sr_probe</methodName><params><param><value><struct><member><name>command</name><value>sr_probe</value></member><member><name>args</name><value><array><data/></array></value></member><member><name>device_config</name><value><struct><member><name>server</name><value>10.77.0.2</value></member></struct></value></member></struct></value></param></params></methodCall>'
	grun NFSSR "$xml" >/dev/null
	[[ $output == *'<int>101</int>'* ]]
	xmllint --noout - <<<"$stderr"
	[[ $stderr == *'<Export><Target>10.77.0.2</Target><Path>/mnt/exp</Path><Accesslist>*</Accesslist></Export>'* ]]
	create 4.2
	grun NFSSR "${xml/<\/value><\/member><\/struct><\/value><\/member><\/struct>/</value></member><member><name>serverpath</name><value>/mnt/exp/pool</value></member></struct></value></member></struct>}" >/dev/null
	[[ $output == *"&lt;SR&gt;&lt;UUID&gt;$A&lt;/UUID&gt;&lt;/SR&gt;"* ]]
	grun sm sr probe 10.77.0.2:/mnt/exp/pool --minimal
	[ "$output" = "$A" ]
	guest_ok 'sm sr destroy n'
}

# smapi COMMAND DCONF [SM_CONFIG [OTHER_CONFIG]]: as xapi calls it; KEY=VALUE words each.
smapi() {
	local call

	member() { call+="<member><name>$1</name><value>$2</value></member>"; }
	config() {
		local kv

		[ -n "$2" ] || return 0
		call+="<member><name>$1</name><value><struct>"
		for kv in $2; do member "${kv%%=*}" "${kv#*=}"; done
		call+='</struct></value></member>'
	}
	call="<methodCall><methodName>$1</methodName><params><param><value><struct>"
	member command "$1"
	member sr_uuid $A
	member args '<array><data><value>0</value></data></array>'
	config device_config "$2"
	config sr_sm_config "${3-}"
	config sr_other_config "${4-}"
	grun NFSSR "$call</struct></value></param></params></methodCall>" >/dev/null
}

# versions V…: what the answer to sr_probe says of the server.
versions() {
	local v list=

	for v; do list+="&lt;Version&gt;$v&lt;/Version&gt;"; done
	[[ $output == *"&lt;SR&gt;&lt;UUID&gt;$A&lt;/UUID&gt;&lt;/SR&gt;&lt;SupportedVersions&gt;$list&lt;/SupportedVersions&gt;&lt;/SRlist&gt;"* ]]
}

# mounted WORD…: the mount of the SR has these options.
mounted() {
	local word

	guest_ok "awk '\$2 == \"/run/sr-mount/$A\" { print \",\" \$4 \",\" }' /proc/mounts" >/dev/null
	for word; do
		[[ $output == *,$word,* ]] || { echo "no $word: $output" >&2; return 1; }
	done
}

@test "probeversion: what dconf asks for where the server has it, and the versions" {
	create 4.2
	smapi sr_probe 'server=10.77.0.2 serverpath=/mnt/exp/pool probeversion='
	versions 3 4
	jsonof sm sr probe $(at 4.1 probeversion=true)
	is ".srs[0].uuid == \"$A\" and .srs[0].dconf.nfsversion == \"4.1\" and .versions == \"3,4\""
	guest_ok "sm sr probe $(at 4.1 probeversion=true) | tail -n 1; sm sr destroy n" >/dev/null
	[[ ${lines[-1]} == versions*3,4 ]]
}

@test "a server of NFS 4 alone, without mountd and at another port: its names, and the first version that it has" {
	local at='server=10.77.0.2 options=port=20490' four

	four="--dconf ${at/ / --dconf } --type nfs"
	server stop
	within 10 1 'sm: sr probe: server 10.77.0.2: nothing listens at port 2049 (NFS) (try: is the NFS server running there?)' \
		sm sr probe --type nfs --dconf server=10.77.0.2 --dconf serverpath=/pool --dconf probeversion=true
	server start -N 3 -N 4.2 -p 20490 2
	within 10 1 '*nothing listens at port 2049 (NFS)*' sm sr create n $(at 4.1)
	within 10 1 'sm: sr create: server 10.77.0.2 has NFS 4 to 4, not 3 (try: --dconf nfsversion=4)' sm sr create n $(at 3 options=port=20490)
	within 10 1 '*server 10.77.0.2 does not have NFS 4.2*' sm sr create n $(at 4.2 options=port=20490)
	create 4 options=port=20490,hard nfs-timeout=70 nfs-retrans=3
	mounted hard vers=4.1 timeo=70 retrans=3 port=20490

	jsonof sm sr probe $four --dconf probeversion=true
	is '.exports[0] == {"server":"10.77.0.2","path":"/mnt/exp","hosts":"*"} and .versions == "4"'
	smapi sr_probe "$at serverpath=/pool probeversion="
	versions 4
	smapi sr_probe "$at serverpath=/pool"
	[[ $output == *'<int>72</int>'*'has NFS 4 to 4, not 3'* ]]
	for asked in '' ' --dconf nfsversion=3'; do
		jsonof sm sr probe $four --dconf serverpath=/pool --dconf probeversion=true$asked
		is ".srs[0].uuid == \"$A\" and .versions == \"4\""
		is '.srs[0].dconf == {server:"10.77.0.2", options:"port=20490", serverpath:"/pool", nfsversion:"4"}'
	done
	# What it says of the SR is what attaches it.
	guest_ok "sm sr detach n; sm sr forget n && sm sr introduce $A --name n $four --dconf serverpath=/pool --dconf nfsversion=4 && sm sr destroy n"

	server unlisted
	within 5 1 'sm: sr create: server 10.77.0.2 has no mountd, which NFS 3 needs (try: is rpc.mountd running there?  NFS 4 does without: --dconf nfsversion=4.2)' \
		sm sr create n $(at 3)
	jsonof sm sr probe $four --dconf probeversion=true
	is '.exports == [{"server":"10.77.0.2","path":"/ram","hosts":""}] and .versions == "4"'
	smapi sr_probe "$at"
	[[ $output == *'<int>101</int>'* ]]
	xmllint --noout - <<<"$stderr"
	[[ $stderr == *'<nfs-exports><Export><Target>10.77.0.2</Target><Path>/ram</Path><Accesslist></Accesslist></Export></nfs-exports>'* ]]
	server listed
	server stop
	server start 2
}

@test "what a mount gets: upstream's options, nfs-timeout and nfs-retrans of dconf or SR.other_config, hard" {
	local at

	for v in 3 4.1; do
		at="server=10.77.0.2 serverpath=$(path $v) nfsversion=$v"
		create $v
		mounted rw nosuid nodev soft proto=tcp "vers=$v" acdirmin=0 acdirmax=0 timeo=200 retrans=4
		[ $v != 3 ] || mounted nolock mountproto=tcp
		guest_ok 'sm sr detach n'
		smapi sr_attach "$at" '' 'nfs-timeout=70 nfs-retrans=3'
		mounted soft timeo=70 retrans=3 acdirmin=0 acdirmax=0
		guest_ok 'sm sr detach n'
		# What makes no sense in SR.other_config is passed over; dconf goes before it.
		smapi sr_attach "$at" '' 'nfs-timeout=0 nfs-retrans=-1'
		mounted timeo=200 retrans=4
		guest_ok 'sm sr detach n'
		smapi sr_attach "$at nfs-timeout=50 options=hard,acdirmax=30,noatime" '' 'nfs-timeout=70 nfs-retrans=0'
		mounted hard timeo=50 retrans=0 acdirmin=0 acdirmax=30 noatime
		guest_ok 'sm sr detach n && sm sr destroy n'
	done
}

@test "nosubdir, as upstream has it in sm_config too, beside an SR below its uuid" {
	local at='server=10.77.0.2 serverpath=/pool nfsversion=4.1' B=7f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e22

	smapi sr_create "$at" nosubdir=true
	[[ $output != *fault* ]]
	smapi sr_attach "$at" nosubdir=true
	guest_ok "grep '^10.77.0.2:/pool /run/sr-mount/$A ' /proc/mounts && judge test -e /mnt/exp/pool/.sm/sr" >/dev/null
	guest_ok "sm sr create b --uuid $B $(at 4.1) && grep '^10.77.0.2:/pool/$B /run/sr-mount/$B ' /proc/mounts
		sm vdi create x --sr b --size 4M && judge test -e /mnt/exp/pool/$B/.sm/sr" >/dev/null
	smapi sr_scan "$at" nosubdir=true
	[[ $output != *fault* ]]
	smapi sr_detach "$at" nosubdir=true
	smapi sr_attach "$at"
	[[ $output == *'<int>47</int>'*"10.77.0.2:/pool has no SR $A"* ]]
	smapi sr_delete "$at" nosubdir=true
	[[ $output != *fault* ]]
	guest_ok "judge test ! -e /mnt/exp/pool/.sm && sm vdi delete x && sm sr destroy b && judge test ! -e /mnt/exp/pool/$B"
}

@test "hostile lists of exports are refused in one line, and in time" {
	for mode in cut large endless empty drip other silent words; do
		guest_ok "rpct $mode >/tmp/ready & until grep -q ready /tmp/ready; do sleep 0.02; done" >/dev/null
		within 12 1 'sm: sr probe: server 127.0.0.1*' sm sr probe --type nfs --dconf server=127.0.0.1
		guest_ok 'killall -9 rpct; rm -f /tmp/ready'
	done
}

# lying MODE: where that server has it.
lying() { printf ' --type nfs --dconf server=127.0.0.1 --dconf serverpath=/%s --dconf nfsversion=3 --dconf nosubdir=true --dconf options=ro' "$1"; }

# lie MODE: attach what the server has by that name, and look at what is there.  Each verb ends by itself
# with a status of ours, at most one line on stderr, and no byte that a terminal would obey.
lie() {
	guest_ok -t 100 "V=$V A=$A; sm sr introduce $A --name n $(lying "$1") >/dev/null 2>/tmp/err || cat /tmp/err"'
		for verb in "vdi list" "lock list" "sr check n" "vdi attach $V --read-only" "vdi detach $V"; do
			began=${EPOCHREALTIME/./} status=0
			sm $verb >/tmp/out 2>/tmp/err || status=$?
			echo "$verb: $status, $(((${EPOCHREALTIME/./} - began) / 1000)) ms: $(head -c 200 /tmp/out | tr "\n" "|") $(head -c 300 /tmp/err)"
			[ $status -le 7 ] || exit 9
			[ $(wc -l </tmp/err) -le 1 ] && ! tr -d "\n" </tmp/out | grep "[[:cntrl:]]" && ! grep "[[:cntrl:]]" /tmp/err || exit 8
		done
		sm sr detach n; sm sr forget n; ! grep sr-mount/$A /proc/mounts'
	echo "== $1"
}

# How long a directory may be, and take: unit/dir_lease.c.
@test "a server that lies below a mount: each verb ends in time, in a line, and nothing hangs" {
	V=22aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
	guest_ok "nfst $A $V >/tmp/ready & until grep -q ready /tmp/ready; do sleep 0.02; done" >/dev/null
	for mode in slash long names sizes records huge types; do
		lie $mode
	done
	guest_ok 'killall -9 nfst; rm -f /tmp/ready'
}

@test "a directory of a server that goes in circles, has more than there can be or no end: given up in seconds, with the server's name" {
	needs NFS_GUARD
	V=22aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
	guest_ok "nfst $A $V >/tmp/ready & until grep -q ready /tmp/ready; do sleep 0.02; done" >/dev/null
	for mode in endless loop again; do
		# shellcheck disable=SC2046 # words
		within 60 1 "sm: sr introduce: 127.0.0.1:/$mode: the directory does not come to an end (try: look at it on the server)" \
			sm sr introduce $A --name n $(lying $mode)
		guest_ok -t 60 'sm sr detach n; sm sr forget n; true'
	done
	# shellcheck disable=SC2046 # words
	within 60 1 'sm: sr introduce: 127.0.0.1:/disks: the directory has more than 65536 disks' sm sr introduce $A --name n $(lying disks)
	guest_ok -t 60 'sm sr detach n; sm sr forget n; true'
	within 60 1 'sm: sr probe: 127.0.0.1:/srs has more than 4096 SRs' sm sr probe 127.0.0.1:/srs
	# A single call in which the kernel goes on and on.
	LAB_TIMEOUT=120 within 60 124 'sm: sr probe: given up: server 127.0.0.1: the directory does not come to an end (try: look at it on the server)' \
		sm sr probe 127.0.0.1:/restless
	guest_ok 'killall -9 nfst; rm -f /tmp/ready; ! grep sr-mount /proc/mounts'
}

@test "refused: no such path, not exported, version, options, no server" {
	v=4.1
	within 10 4 '*the server has no directory 10.77.0.2:/nowhere*sr probe*' sm sr create n --type nfs \
		--dconf server=10.77.0.2 --dconf serverpath=/nowhere --dconf nfsversion=4.1
	within 10 1 '*does not export 10.77.0.2:/nowhere to this host, or has no such directory*' sm sr create n \
		--type nfs --dconf server=10.77.0.2 --dconf serverpath=/nowhere
	within 10 4 "*has no SR $A*" sm sr introduce $A $(at 4.1)
	within 10 4 "*has no SR $A*" sm sr introduce $A $(at 3)
	within 10 1 "*no NFS version '5'*4.2*" sm sr create n $(at 5)
	within 10 2 "*options*bogus=1*" sm sr create n $(at 4.1 options=bogus=1)
	within 10 2 "*not for you to set*" sm sr create n $(at 4.1 options=addr=10.0.0.1)
	within 10 1 '*nothing listens at port 2049*' sm sr create n --type nfs --dconf server=127.0.0.1 \
		--dconf serverpath=/x --dconf nfsversion=4.1
	within 10 1 '*nothing listens at port 111*' sm sr create n --type nfs --dconf server=127.0.0.1 --dconf serverpath=/x
	within 12 1 '*10.77.0.9*' sm sr create n --type nfs --dconf server=10.77.0.9 --dconf serverpath=/x
	within 10 1 '*cannot be reached: no way to that host*' sm sr create n --type nfs --dconf server=10.99.0.1 --dconf serverpath=/x
	within 10 1 '*nowhere.invalid*/etc/hosts*' sm sr create n --type nfs --dconf server=nowhere.invalid --dconf serverpath=/x
	guest_ok '[ ! -e /etc/smtab ] || [ ! -s /etc/smtab ]; [ -z "$(ls -A /run/sr-mount)" ]'
}

@test "read-only, root-squashed, full: each its sentence" {
	needs NFS_GUARD
	create 4.1
	guest_ok 'sm vdi create d --sr n --size 4M && sm sr detach n'
	server export ro,no_root_squash
	within 10 1 "sm: sr attach: SR $A: 10.77.0.2:/pool: the server exports it read-only (try: to attach it for reading only: --dconf options=ro)" sm sr attach n
	within 10 1 'sm: sr create: make 10.77.0.2:/pool/*: the server exports it read-only (try: to attach it for reading only: --dconf options=ro)' sm sr create m $(at 4.1)
	guest_ok "sm sr forget n && sm sr introduce $A --name n $(at 4.1 options=ro) && sm vdi show d" >/dev/null
	within 10 1 "sm: vdi create: SR $A: 10.77.0.2:/pool: make *.vhd: the SR cannot be written to (try: has it options=ro, or is it exported read-only?  sm sr show $A)" sm vdi create e --sr n --size 4M
	guest_ok 'dev=$(sm vdi attach d --read-only) && sm vdi detach d && sm sr forget n'
	server export rw,root_squash
	within 10 1 'sm: sr create: make 10.77.0.2:/pool/*: the server does not let root write there (is root squashed?) (try: export it with no_root_squash)' sm sr create m $(at 4.1)
	within 10 1 "sm: sr introduce: open 10.77.0.2:/pool/$A: the server does not let root in (is root squashed?) (try: export it with no_root_squash)" sm sr introduce $A $(at 4.1)
	server export rw,no_root_squash
	guest_ok "sm sr introduce $A --name n $(at 4.1)
		judge sh -c 'dd if=/dev/zero of=/mnt/exp/fill bs=1M 2>/dev/null; dd if=/dev/zero of=/mnt/exp/fill2 bs=4k 2>/dev/null; sync'" >/dev/null
	within 10 5 "sm: vdi create: SR $A: 10.77.0.2:/pool: the SR is full: 64 MiB asked, * free (try: make room on the server, or: sm gc run $A)" \
		sm vdi create e --sr n --size 64M --sm-config allocation=thick
	guest_ok 'sm sr detach n; sm sr attach n && sm vdi delete d; judge rm -f /mnt/exp/fill /mnt/exp/fill2'
	guest_ok 'sm sr destroy n'
}

@test "a server that is silent, and comes back" {
	create 4.2
	guest_ok 'sm vdi create d --sr n --size 4M'
	server silent
	jsonof sm sr show n
	is '.sr.attached and (.sr.health | contains("does not answer"))'
	jsonof sm sr list
	is '.srs[0].health | contains("does not answer")'
	within 12 1 '*server 10.77.0.2 does not answer at port 2049 (NFS)*firewall*' sm vdi create e --sr n --size 4M
	within 12 1 '*SR '"$A"': server 10.77.0.2 does not answer*' sm vdi show d
	server talk
	guest_ok 'sm vdi show d && sm vdi delete d' >/dev/null
	server silent
	began=$SECONDS
	guest_ok -t 60 'sm sr detach n'
	[ $((SECONDS - began)) -le 30 ]
	guest_ok '! grep -q sr-mount /proc/mounts'
	within 12 1 '*does not answer at port*' sm sr attach n
	server talk
	guest_ok 'sm sr attach n && sm sr destroy n'

	create 3
	server silent
	within 12 1 '*does not answer*' sm sr scan n
	guest_ok -t 60 'sm sr detach n && ! grep -q sr-mount /proc/mounts'
	server talk
	guest_ok 'sm sr attach n && sm sr destroy n'
}

@test "who writes to a disk waits for a silent server where that is wanted, and else is told" {
	for how in hard soft; do
		create 3 options=$how,timeo=10,retrans=1
		guest_ok 'sm vdi create r --sr n --size 4M --format raw && sm vdi attach r' >/dev/null
		dev=${lines[-1]}
		server silent
		guest_ok "rm -f /tmp/wrote; (s=0; head -c 1048576 /dev/zero | tr '\0' '\7' | dd of=$dev bs=64k iflag=fullblock oflag=direct conv=fsync 2>/dev/null || s=\$?
			echo \$s >/tmp/wrote.new; mv /tmp/wrote.new /tmp/wrote) >/dev/null 2>&1 &"
		[ $how = hard ] || guest_ok -t 90 'until [ -e /tmp/wrote ]; do sleep 0.2; done; [ "$(cat /tmp/wrote)" != 0 ]'
		[ $how = soft ] || guest_ok 'sleep 10; [ ! -e /tmp/wrote ]'
		server talk
		[ $how = soft ] || guest_ok -t 90 "until [ -e /tmp/wrote ]; do sleep 0.2; done; [ \"\$(cat /tmp/wrote)\" = 0 ]
			[ \"\$(head -c 1048576 $dev | md5sum)\" = \"\$(head -c 1048576 /dev/zero | tr '\0' '\7' | md5sum)\" ]"
		guest_ok -t 90 'sm vdi detach r; sm vdi delete r && sm sr destroy n' >/dev/null
	done
}

@test "the worker of a disk is dead, and its last write is with the server: the next one waits for that" {
	needs DATAPATH_NBD
	create 4.2
	guest_ok 'sm vdi create d --sr n --size 8M --format vhd' >/dev/null
	V=${lines[-1]}
	cat >"$BATS_TEST_TMPDIR/clear" <<-'END'
		import fcntl, os
		fcntl.ioctl(os.open("/dev/nbd0", os.O_RDWR), 0xab04)	# NBD_CLEAR_SOCK: nothing is asked again
	END
	guest_put "$BATS_TEST_TMPDIR/clear" /tmp/clear
	guest_put tests/nbd/guest.bash /tmp/nbd.bash
	# A file system that is frozen lets others read, and keeps who writes.
	guest_ok -t 90 "V=$V D=/dev/mapper/sm-$V"'; . /tmp/nbd.bash; sm vdi attach d; pattern 1 0 2; judge sync $D
		judge fsfreeze -f /mnt/exp
		(bytes 2 1 | dd of=$D bs=4k count=1 oflag=direct conv=notrunc || true) 2>/dev/null & until [ "$(awk "{ print \$2 }" /sys/block/nbd0/inflight)" != 0 ]; do sleep 0.02; done
		sleep 0.5; w=$(worker); kill -9 $w; wait_worker $w
		(dd if=$D of=/tmp/read bs=4k skip=256 count=1 iflag=direct status=none; : >/tmp/has_read) & r=$!
		sleep 3; [ ! -e /tmp/has_read ]
		judge fsfreeze -u /mnt/exp
		wait $r; [ "$(tr -d "\1" </tmp/read | wc -c)" = 0 ]
		judge python3 /tmp/clear; wait; sm vdi detach d; D=$(sm vdi attach d); check 1 1 1; sm vdi detach d; sm vdi delete d; sm sr destroy n'
}

@test "the lock of a disk, as it was asked for in 2007" {
	create 4.2
	guest_ok "sm vdi create v --sr n --size 4M"
	V=${lines[-1]}
	guest_ok "d='<dconf><server>10.77.0.2</server><serverpath>/pool</serverpath><nfsversion>4.2</nfsversion></dconf>'
		sm vdi_lock -t nfs -d \"\$d\" $A $V FALSE host1:dom3
		s=0; sm vdi_lock -t nfs -d \"\$d\" $A $V FALSE host2:dom9 || s=\$?; [ \$s = 103 ]
		sm vdi_lock -t nfs -d \"\$d\" $A $V TRUE host2:dom9
		s=0; sm vdi_unlock -t nfs -d \"\$d\" $A $V FALSE host1:dom3 || s=\$?; [ \$s = 37 ]
		sm lock show $V | grep host2:dom9
		sm vdi_unlock -t nfs -d \"\$d\" $A $V FALSE host2:dom9; sm vdi delete v && sm sr destroy n"
}

@test "a server that goes while a verb is at work: it is given up in seconds, and done again later" {
	create 4.1
	guest_ok 'sm vdi create d --sr n --size 64M --format vhd && dev=$(sm vdi attach d)
		sm vdi detach d'
	# A disk of zeroes that the server has to be told: it takes longer than the server lives.
	guest_ok "(sleep 0.4; judge bash /tmp/server.sh silent) & began=\$(cut -d. -f1 /proc/uptime)
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
			sm vdi create x\$i --sr n --size 4M >/tmp/out 2>&1 || break
		done
		cat /tmp/out; echo took \$((\$(cut -d. -f1 /proc/uptime) - began)); wait" >/dev/null
	[[ $output == *'server 10.77.0.2 does not answer'* ]]
	[[ $output =~ took\ ([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -le 30 ]
	server talk
	guest_ok 'sm sr scan n && sm sr check n'
	guest_ok 'for v in $(sm vdi list --sr n --minimal | tr , " "); do sm vdi delete $v; done; sm sr destroy n'
}

# sum VDI: of the disk's bytes, through a device.
sum() { guest_ok -t 120 "dev=\$(sm vdi attach $1 --read-only) && md5sum <\$dev; sm vdi detach $1" >/dev/null; }

# ops NAME: how often that was asked of the server.
ops() {
	guest_ok "awk '\$1 == \"$1:\" { n += \$2 } END { print n + 0 }' /proc/self/mountstats" >/dev/null
	echo "$output"
}

# How many bytes a server has sent of its files.
came() {
	guest_ok "awk '\$1 == \"bytes:\" { n += \$6 } END { print n + 0 }' /proc/self/mountstats" >/dev/null
	echo "$output"
}

@test "copies and clones share blocks where the server can, and are sparse where not" {
	needs VDI_COPY FMT_VHD
	create 4.2
	guest_ok "sm sr create m --type nfs --dconf server=10.77.0.2 --dconf serverpath=/mnt/exp/pool --dconf nfsversion=3" >/dev/null
	guest_ok -t 120 'sm vdi create r --sr n --size 16M --format raw && dev=$(sm vdi attach r)
		dd if=/dev/urandom of=$dev bs=1M count=2 seek=9 conv=fsync 2>/dev/null; sm vdi detach r
		sm vdi create v --sr n --size 16M --format vhd && dev=$(sm vdi attach v)
		dd if=/dev/urandom of=$dev bs=1M count=1 seek=9 conv=fsync 2>/dev/null; sm vdi detach v
		sm vdi show v >/dev/null' >/dev/null
	jsonof sm sr show n
	is '.sr.fast_clone == null'
	sum r && r=$output && sum v && v=$output
	used() { guest_ok 'judge sh -c "sync; df -k /mnt/exp" | awk "NR == 2 { print \$3 }"' >/dev/null; }
	used && before=$output
	guest_ok -t 120 'sm vdi clone r r2 && sm vdi copy r r3 && sm vdi copy v v2 && sm vdi snapshot v v3' >/dev/null
	used
	[ $((output - before)) -lt 1024 ]		# and not 6 MiB more
	jsonof sm sr show n
	is '.sr.fast_clone == true'
	jsonof sm vdi list --sr n
	is '([.vdis[] | select(.hidden)] | length == 0) and (.vdis | length == 6)'
	is '[.vdis[] | select(.format == "raw").name] | sort == ["r", "r2", "r3"]'
	for d in r2 r3; do sum $d && [ "$output" = "$r" ]; done
	for d in v2 v3; do sum $d && [ "$output" = "$v" ]; done
	guest_ok 'dev=$(sm vdi attach v2) && echo other | dd of=$dev conv=fsync,notrunc 2>/dev/null; sm vdi detach v2'
	sum v && [ "$output" = "$v" ]

	guest_ok -t 120 'sm vdi copy r away --sr m && sm vdi copy v vaway --sr m && sm vdi clone vaway vchild && dev=$(sm vdi attach vchild)
		echo x | dd of=$dev bs=1M seek=14 conv=fsync,notrunc 2>/dev/null; sm vdi detach vchild
		sm vdi copy vchild flat --sr n --format raw && sm vdi copy vchild beside' >/dev/null
	jsonof sm sr show m
	is '.sr.fast_clone == false'
	sum away && [ "$output" = "$r" ]
	sum vaway && [ "$output" = "$v" ]
	sum vchild && want=$output
	sum flat && [ "$output" = "$want" ]
	sum beside && [ "$output" = "$want" ]
	jsonof sm vdi show beside
	is '.vdi.parent == null and .vdi.format == "vhd" and (.vdi.hidden | not)'
	jsonof sm vdi show flat
	is '.vdi.physical_size < 8000000'
	guest_ok 'sm vdi attach r' >/dev/null
	fails 3 '*is attached to be written*' sm vdi copy r no --sr m
	guest_ok 'sm vdi detach r; sm sr check n && sm sr check m'
	guest_ok -t 120 'for s in n m; do for v in $(sm vdi list --sr $s --minimal | tr , " "); do sm vdi delete $v; done; sm sr destroy $s; done'
}

# Each with its own name, mount and cache: what two hosts are to a server.
@test "two hosts on one export: both change it at once, and see the same" {
	needs SHARED_SR SNAPSHOTS FMT_VHD
	guest_ok "for h in 1 2; do mkdir -p /tmp/h\$h/etc; echo \${h}0000000000000000000000000000000 >/tmp/h\$h/etc/machine-id; done
		SM_ROOT=/tmp/h1 sm sr create n --uuid $A $(at 4.1 shared=true options=nosharecache) &&
		SM_ROOT=/tmp/h2 sm sr introduce $A --name n $(at 4.1 shared=true options=nosharecache)" >/dev/null
	guest_ok -t 200 'work() {
			export SM_ROOT=/tmp/h$1
			for i in 1 2 3; do
				sm vdi create w$1$i --sr n --size 2M --format vhd && sm vdi snapshot w$1$i s$1$i &&
					sm vdi attach w$1$i && sm vdi detach w$1$i && sm sr scan n && sm vdi delete w$1$i || return
			done
		}
		work 1 & one=$!
		work 2 & two=$!
		wait $one && wait $two' >/dev/null
	guest_ok 'for h in 1 2; do SM_ROOT=/tmp/h$h sm sr check n && SM_ROOT=/tmp/h$h sm vdi list --sr n --minimal | tr , "\n" | sort >/tmp/h$h/list; done
		cmp /tmp/h1/list /tmp/h2/list && wc -l </tmp/h1/list && SM_ROOT=/tmp/h2 sm sr detach n' >/dev/null
	[ "${lines[-1]}" -ge 6 ]
	guest_ok 'export SM_ROOT=/tmp/h1; for v in $(sm vdi list --sr n --minimal | tr , " "); do sm vdi delete $v; done
		sm gc run n; sm sr destroy n || exit; rm -rf /tmp/h1 /tmp/h2
		! find /mnt/exp/pool -type f ! -name "*.xenlk.*" | grep .'
}

@test "raw disks are copied by the server, where it can do no better" {
	needs VDI_COPY
	guest_ok "sm sr create n --type nfs --dconf server=10.77.0.2 --dconf serverpath=/ram --dconf nfsversion=4.2
		sm vdi create r --sr n --size 48M --format raw && dev=\$(sm vdi attach r)
		dd if=/dev/urandom of=\$dev bs=1M count=16 seek=9 conv=fsync 2>/dev/null; sm vdi detach r" >/dev/null
	jsonof sm sr show n
	is '.sr.fast_clone == null and .sr.server_copy == null'
	before=$(ops COPY) read=$(came)
	guest_ok 'sm vdi copy r r2' >/dev/null
	# Records of the SR may be read again, of the disk's 16 MiB nothing.
	[ "$(ops COPY)" -gt "$before" ] && [ $(($(came) - read)) -lt $((1 << 20)) ]
	jsonof sm sr show n
	is '.sr.fast_clone == false and .sr.server_copy == true'
	jsonof sm vdi show r2
	is '.vdi.physical_size <= 17000000 and .vdi.virtual_size == 50331648'
	sum r && want=$output
	sum r2 && [ "$output" = "$want" ]
	guest_ok 'sm sr check n && sm vdi delete r && sm vdi delete r2 && sm sr destroy n'
}

@test "a server that dies and returns under a disk in use and a copy at work: both go on" {
	needs VDI_COPY
	create 3
	S=11aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21 T=22aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
	guest_ok -t 120 "sm vdi create d --sr n --size 8M --format raw && sm vdi create s --uuid $S --sr n --size 96M --format raw
		dd if=/dev/urandom of=/mnt/exp/pool/$A/$S.raw bs=1M count=96 conv=notrunc 2>/dev/null
		head -c 4194304 /dev/urandom >/tmp/data; sm vdi attach d" >/dev/null
	dev=${lines[-1]}
	# The server is away for longer than a verb may wait elsewhere, once some of the copy is there.
	# A copy that was quicker than we is made again.
	guest_ok -t 180 "for try in 1 2 3 4 5 6 7 8; do
			sm vdi copy s t --uuid $T >/dev/null & copy=\$!
			until [ \$(stat -c %b /mnt/exp/pool/$A/$T.raw 2>/dev/null || echo 0) -gt 2048 ]; do :; done
			killall -STOP sm
			[ \$(stat -c %b /mnt/exp/pool/$A/$T.raw) -ge \$((96 << 11)) ] || break
			killall -CONT sm; wait \$copy; sm vdi delete t
		done
		judge bash /tmp/server.sh stop; killall -CONT sm
		[ \$(stat -c %b /mnt/exp/pool/$A/$T.raw) -lt \$((96 << 11)) ] || exit 9
		dd if=/tmp/data of=$dev bs=1M conv=fsync 2>/dev/null & use=\$!
		sleep 11
		kill -0 \$copy && kill -0 \$use && judge bash /tmp/server.sh start --grace-time 10 --lease-time 10 2
		wait \$copy && wait \$use && sync && cmp /mnt/exp/pool/$A/$S.raw /mnt/exp/pool/$A/$T.raw && dd if=$dev bs=1M count=4 2>/dev/null | cmp - /tmp/data"
	guest_ok 'sm vdi detach d; sm sr check n && for v in d s t; do sm vdi delete $v; done; sm sr destroy n'
}

@test "a directory that was exchanged on the server: told of, and mounted anew" {
	for v in 3 4.1; do
		create $v
		guest_ok "sm vdi create d --sr n --size 4M
			judge sh -c 'cd /mnt/exp/pool && cp -a $A new && rm -r $A && mv new $A'"
		within 5 1 "sm: vdi show: SR $A: the server does not know 10.77.0.2:$(path $v)/$A any more, or not this host (Stale file handle) (try: is it exported still?  Then: sm sr attach $A)" sm vdi show d
		jsonof sm sr show n
		is '.sr.attached and (.sr.health | contains("any more"))'
		guest_ok 'sm sr attach n && sm vdi show d && sm sr check n' >/dev/null
		guest_ok "[ \$(grep -c ' /run/sr-mount/$A ' /proc/mounts) = 1 ] && sm vdi delete d && sm sr destroy n"
	done
}

@test "a server that is restarted, and an export that is withdrawn" {
	create 4.1
	guest_ok 'sm vdi create d --sr n --size 4M'
	server stop
	within 12 1 '*nothing listens at port 2049*is the NFS server running*' sm vdi show d
	jsonof sm sr show n
	is '.sr.health | contains("nothing listens")'
	server start --grace-time 10 --lease-time 10 2
	guest_ok 'sm vdi show d && sm sr scan n' >/dev/null
	server export none
	within 12 1 '*does not know 10.77.0.2:/pool/'"$A"' any more*exported still*' sm vdi show d
	jsonof sm sr show n
	is '.sr.attached and (.sr.health | contains("any more"))'
	server export rw,no_root_squash
	guest_ok 'sm sr attach n && sm vdi show d && sm vdi delete d && sm sr destroy n' >/dev/null
}

# Some calls of some verbs, others each day; SWEEP_EVERY=1 tries all of all, or of SWEEP_VERBS, in every way or in those of SWEEP_HOW.
@test "killed or failed at any system call, by mount and umount too: nothing stays mounted, and the next verb goes on" {
	local every=${SWEEP_EVERY:-$((211 * ${PACE:-1}))} day how do=()
	local verbs=("sr-create sr-attach" "sr-detach vdi-create" "sr-destroy vdi-attach" "vdi-detach vdi-delete"
		"vdi-resize vdi-lock" "vdi-unlock cbt-enable" "cbt-snapshot" "cbt-disable cbt-data-destroy") ways=(EIO ENOSPC EINTR short EIO+)

	day=$(date +%-j) first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	sweep_put nfs.sh
	if [ "$every" -gt 1 ] && [ -z "${SWEEP_VERBS+set}${SWEEP_HOW+set}" ]; then
		do=("kill $every ${verbs[day % 8]}" "${ways[day % 5]} $((every * 2)) ${verbs[(day + 3) % 8]}")
	else
		for how in ${SWEEP_HOW-kill "${ways[@]}"}; do do+=("$how $every ${SWEEP_VERBS-}"); done
	fi
	for how in "${do[@]}"; do
		echo "SWEEP_FIRST=$first SWEEP_HOW, SWEEP_EVERY, SWEEP_VERBS: $how"
		# shellcheck disable=SC2086 # words
		set -- $how
		guest_ok -t $((every > 1 ? 600 : 86400)) "HOW=$1 SWEEP_TWICE=$((every > 1 ? 0 : 97)) bash /tmp/nfs.sh $2 $first ${*:3}"
		grep '^# sweep' <<<"$output" >&3
	done
}

@test "verbs that only look do so in a sandbox, at one SR and at all, once the server has been spoken to" {
	needs SECCOMP_SANDBOX
	create 4.2
	guest_ok 'sm vdi create raw --sr n --format raw --size 8M && sm vdi create tree --sr n --format vhd --size 8M &&
		sm vdi snapshot tree then' >/dev/null
	for verb in "sr show n" "vdi show tree --sr n" "vdi list --sr n" "gc plan n" "vdi list" "sr list" "vdi show tree"; do
		# shellcheck disable=SC2086 # words
		confined sm $verb
		[[ -n $output && $output != *"not permitted"* ]]
	done
}

# The last one: the server may keep that disk open for a while.
@test "a server whose disk fails: it is told in one line, in time, and over when the disk is well" {
	guest_ok 'truncate -s 64M /tmp/disk && losetup /dev/loop7 /tmp/disk'
	server disk /dev/loop7
	guest_ok "sm sr create n --uuid $A --type nfs --dconf server=10.77.0.2 --dconf serverpath=/disk --dconf nfsversion=4.2
		sm vdi create d --sr n --size 4M --format vhd && dev=\$(sm vdi attach d) && echo hello | dd of=\$dev conv=fsync 2>/dev/null; sm vdi detach d" >/dev/null
	server fails
	for verb in 'vdi create e --sr n --size 64M' 'vdi resize d 8M' 'vdi snapshot d s' 'vdi delete d' 'sr scan n' 'sr check n'; do
		# shellcheck disable=SC2086 # words
		within 12 1 "sm: *: SR $A: *: I/O error" sm $verb
	done
	server works
	guest_ok 'sm sr scan n && sm sr check n && dev=$(sm vdi attach d) && head -c 5 $dev; sm vdi detach d'
	[[ $output == *hello* ]]
	guest_ok 'for v in $(sm vdi list --sr n --minimal | tr , " "); do sm vdi delete $v; done; sm sr destroy n
		umount /mnt/exp/disk; judge dmsetup remove disk; rm -f /dev/mapper/disk /tmp/disk; losetup -d /dev/loop7'
}
