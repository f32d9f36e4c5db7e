# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The same operation through each door, for the compliance suite.
#
#	door=xapi
#	do_op sr_create && do_op vdi_create "$VDI" 16
#
# do_op NAME [VDI] [MIB] works on the SR $SR of type $TYPE, and leaves the status, output and stderr of its call.  A fault of
# SMAPIv1, whose exit status is always 0, is turned into status 1 and $fault.  With ON it is done by that guest, with SHARED
# it is told that other hosts use the SR too.

# applet TYPE: the name by which xapi would execute the driver, as the program tells it.
applet() {
	"$SM_BUILD/bin/sm" help types | sed -n "s/^$1 (\([A-Za-z0-9]*\).*/\1/p"
}

# dconf: where the SR's storage is, a KEY=VALUE a line.  Files lie in /srv/$SR, volumes
# on the guest's second disk, or DEVICE, and an export in the guest is /mnt/exp (nfs/server.sh).
dconf() {
	case $TYPE in
	lvm) echo "device=${DEVICE:-/dev/ubdb}" ;;
	nfs) printf '%s\n' server=10.77.0.2 serverpath=/pool nfsversion=4.1 ;;
	*) echo "location=/srv/$SR" ;;
	esac
	[ -z "${SHARED-}" ] || echo shared=true
}

# people_dconf, old_dconf, xml_dconf: the same, as each door says it.
people_dconf() { dconf | sed '1 ! s/^/--dconf /' | paste -sd ' '; }
old_dconf() {
	case $TYPE${SHARED-} in
	file) echo /srv ;;
	lvm) dconf | cut -d = -f 2 ;;
	*) echo "<dconf>$(dconf | sed -E 's,([^=]*)=(.*),<\1>\2</\1>,' | tr -d '\n')</dconf>" ;;
	esac
}
xml_dconf() { dconf | sed -E 's,([^=]*)=(.*),<member><name>\1</name><value>\2</value></member>,' | tr -d '\n'; }

# home: the directory of an SR of files, on the storage itself.
home() {
	case $TYPE in
	nfs) echo "/mnt/exp/pool/$SR" ;;
	*) echo "/srv/$SR" ;;
	esac
}

# bytes_of_sr: print what of the storage must not depend on the door.
bytes_of_sr() {
	case $TYPE in
	lvm) # the text without what names the moment: ids, times, the count of commits
		guest_ok "judge vgcfgbackup -f /tmp/text VG_XenStorage-$SR >/dev/null &&
			grep -vE '^(#|description|creation)|id = |_time|seqno|cause' /tmp/text" ;;
	*) # names differ by door: SR-API 1.0 has none
		guest_ok "cd $(home) && find . -type f ! -path './.sm/*' ! -name '*.vhd' -exec md5sum {} + ; find . | sort
			stat -c '%n %a %s' *.raw *.vhd; for i in *.vhd; do sm image info \$i | grep -v uuid:; done; grep -v name= .sm/sr; grep -v name= .sm/vdi/*" ;;
	esac
}

# clear_storage: nothing of the SR is left, as after a new disk was put in.
clear_storage() {
	guest "rm -rf $(home) /etc/smtab; [ $TYPE != lvm ] || dd if=/dev/zero of=/dev/ubdb bs=1M count=12 2>/dev/null" >/dev/null
}

# xml_call COMMAND [VDI] [ARG…]: a request as xapi sends it.
xml_call() {
	local command=$1 vdi=$2 args='' arg

	shift 2
	for arg; do
		args+="<value>$arg</value>"
	done
	printf '<methodCall><methodName>%s</methodName><params><param><value><struct>' "$command"
	printf '<member><name>host_ref</name><value>OpaqueRef:h1</value></member>'
	printf '<member><name>command</name><value>%s</value></member>' "$command"
	printf '<member><name>args</name><value><array><data>%s</data></array></value></member>' "$args"
	printf '<member><name>device_config</name><value><struct>'
	printf '<member><name>SRmaster</name><value>true</value></member>%s' "$(xml_dconf)"
	printf '</struct></value></member>'
	printf '<member><name>sr_ref</name><value>OpaqueRef:r1</value></member>'
	printf '<member><name>sr_uuid</name><value>%s</value></member>' "$SR"
	if [ -n "$vdi" ]; then
		printf '<member><name>vdi_ref</name><value>OpaqueRef:v1</value></member>'
		printf '<member><name>vdi_uuid</name><value>%s</value></member>' "$vdi"
		printf '<member><name>vdi_location</name><value>%s</value></member>' "$vdi"
	fi
	if [ "$command" = vdi_create ]; then
		printf '<member><name>vdi_type</name><value>user</value></member>'
		printf '<member><name>vdi_sm_config</name><value><struct>'
		[ -z "${FORMAT-}" ] || printf '<member><name>type</name><value>%s</value></member>' "$FORMAT"
		printf '</struct></value></member>'
	fi
	printf '</struct></value></param></params></methodCall>'
}

xapi_op() {
	fault=
	grun -n "${ON:-a}" "$(applet "$TYPE")" "$(xml_call "$@")" >/dev/null 2>&1 || return
	if [[ $output == *'<fault>'* ]]; then
		fault=$(grep -o '<int>[0-9]*</int>' <<<"$output" | tr -dc 0-9)
		stderr=$output
		status=1
		return 1
	fi
}

people_op() {
	local op=$1 vdi=${2-} mib=${3-}
	local at=(--type "$TYPE")

	# shellcheck disable=SC2207 # words
	at+=(--dconf $(people_dconf))

	case $op in
	sr_create) set -- sr create t --uuid "$SR" "${at[@]}" ;;
	sr_delete) set -- sr destroy "$SR" ;;
	sr_*) set -- sr "${op#sr_}" "$SR" ;;
	vdi_create) set -- vdi create "$vdi" --uuid "$vdi" --sr "$SR" --size "${mib}M" ${FORMAT:+--format "$FORMAT"} ;;
	vdi_resize) set -- vdi resize "$vdi" "${mib}M" ;;
	*) set -- vdi "${op#vdi_}" "$vdi" ;;
	esac
	[ "$op${SHARED-}" = "$op" ] || [[ $op != vdi_*attach || $op == *detach ]] || set -- "$@" --shared
	grun -n "${ON:-a}" sm "$@" >/dev/null 2>&1
}

old_op() {
	grun -n "${ON:-a}" sm "$1" -t "$TYPE" -d "$(old_dconf)" "$SR" "${@:2}" >/dev/null 2>&1
}

do_op() {
	local op=$1 vdi=${2-} mib=${3-}

	case $door in
	people) people_op "$@" ;;
	2007) old_op "$@" ;;
	xapi)
		case $op in
		sr_create) xapi_op sr_create '' 0 ;;
		sr_*) xapi_op "$op" '' ;;
		vdi_create) xapi_op vdi_create "$vdi" $((mib << 20)) "$vdi" '' '' false \
			19700101T00:00:00Z OpaqueRef:NULL false ;;
		vdi_resize) xapi_op vdi_resize "$vdi" $((mib << 20)) ;;
		vdi_attach)
			xapi_op vdi_attach "$vdi" true && xapi_op vdi_activate "$vdi" true &&
				output=/dev/sm/backend/$SR/$vdi
			;;
		vdi_detach) xapi_op vdi_deactivate "$vdi" && xapi_op vdi_detach "$vdi" ;;
		*) xapi_op "$op" "$vdi" ;;
		esac
		;;
	esac
}

# ok NAME …: do_op that must succeed.
ok() {
	do_op "$@" || {
		echo "$door: $*: status $status: $output $stderr" >&2
		return 1
	}
}

# copy snapshot|clone VDI NEW: make one, in $made; xapi is told its uuid, the others tell it.
copy() {
	made=$3
	case $door in
	people) grun sm vdi "$1" "$2" --uuid "$3" >/dev/null 2>&1 ;;
	2007) old_op "vdi_$1" "$2" "$3" ;;
	xapi)
		xapi_op "vdi_$1" "$2" || return
		made=$(grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' <<<"$output" | head -n 1)
		;;
	esac || {
		echo "$door: $*: status $status: $output $stderr" >&2
		return 1
	}
}

# refused PEOPLE 2007 FAULT NAME …: do_op that must fail with these codes.
refused() {
	local people=$1 old=$2 xapi=$3

	shift 3
	fault=
	do_op "$@" && {
		echo "$door: $*: succeeded" >&2
		return 1
	}
	case $door in
	people) [ "$status" -eq "$people" ] ;;
	2007) [ "$status" -eq "$old" ] ;;
	xapi) [ "$fault" = "$xapi" ] ;;
	esac || {
		echo "$door: $*: status $status fault $fault: $output $stderr" >&2
		return 1
	}
}

# as HOST told|untold CMD…: on that host, which is told that others use the SR too, or is not.
as() {
	local ON=$1 SHARED=

	[ "$2" = untold ] || SHARED=yes
	"${@:3}"
}

# xapi_ok COMMAND VDI [ARG…]: a call that must succeed.
xapi_ok() {
	xapi_op "$@" && return
	echo "$*: status $status: $output $stderr" >&2
	return 1
}

# is_told HOST VERB CMD…: refused, and told which host has the disk, and by which verb.
is_told() {
	"${@:3}" && { echo "succeeded: ${*:3}" >&2; return 1; }
	[[ $stderr == *"is locked by '"*"' (host $1, process "*", $2, since "* ]] && return
	echo "not told of $1 ($2): ${*:3}: status $status: $stderr" >&2
	return 1
}

# one_writer VDI HOST-A HOST-B: of the guests a and b, which have the SR, one at a time writes the disk, by whichever of DOORS
# and verb it was opened; the other one is told who has it, and gets it once it is let go.
one_writer() {
	local V=$1 A=$2 B=$3 door

	for door in $DOORS; do
		as a told ok vdi_attach "$V"
		is_told "$A" "vdi attach" as b told do_op vdi_attach "$V"
		case $door in people) [ "$status" -eq 3 ] ;; 2007) [ "$status" -eq 103 ] ;; *) [ "$fault" -eq 24 ] ;; esac
		as a told ok vdi_detach "$V"
	done
	# Attached there while nobody was told of the other.
	as b untold xapi_ok vdi_attach "$V" true
	as a told xapi_ok vdi_attach "$V" true
	is_told "$A" "vdi attach" as b told xapi_op vdi_activate "$V" true
	[ "$fault" -eq 24 ]
	is_told "$A" "vdi attach" grun -n b sm vdi activate "$V" --shared
	[ "$status" -eq 3 ]
	as a told xapi_ok vdi_detach "$V"
	as b told xapi_ok vdi_activate "$V" true
	is_told "$B" "vdi activate" as a told xapi_op vdi_attach "$V" true
	guest_ok -n b "sm vdi detach $V && sm lock list --minimal" >/dev/null
	[ -z "$output" ]
}

# one_writer_more VDI HOST-A HOST-B: with a device or without, read beside, and lost.
one_writer_more() {
	local V=$1 A=$2 B=$3

	# It is the attachment that has the lock.
	as b untold xapi_ok vdi_attach "$V" true
	as a told xapi_ok vdi_attach "$V" true
	as a told xapi_ok vdi_activate "$V" true
	is_told "$A" "vdi attach" as b told xapi_op vdi_activate "$V" true
	is_told "$A" "vdi attach" as b untold xapi_op vdi_activate "$V" true
	is_told "$A" "vdi attach" as b untold xapi_op vdi_attach "$V" true
	is_told "$A" "vdi attach" grun -n b sm vdi activate "$V"
	guest_ok -n b "! ls /dev/sm/backend/$SR/$V /dev/mapper/sm-$V 2>/dev/null"
	as a told xapi_ok vdi_deactivate "$V"
	is_told "$A" "vdi attach" as b told xapi_op vdi_attach "$V" true
	as a told xapi_ok vdi_activate "$V" true
	as a told xapi_ok vdi_deactivate "$V"
	as a told xapi_ok vdi_activate "$V" false
	as a told xapi_ok vdi_deactivate "$V"
	as a told xapi_ok vdi_detach "$V"
	guest_ok -n b "sm lock list --minimal" >/dev/null
	[ -z "$output" ]
	guest_ok -n b "sm vdi activate $V --shared && sm vdi deactivate $V" >/dev/null
	is_told "$B" "vdi activate" as a told xapi_op vdi_attach "$V" true
	guest_ok -n b "sm vdi detach $V"

	# Who reads does not come to write so, and whom he reads beside does not write.
	as b told xapi_ok vdi_attach "$V" false
	! as b told xapi_op vdi_activate "$V" true
	[ "$fault" -eq 24 ] && [[ $stderr == *"is attached read-only"* ]]
	as b told xapi_ok vdi_activate "$V" false
	! as a told xapi_op vdi_attach "$V" true
	[ "$fault" -eq 24 ] && [[ $stderr == *"is being read by '"*"' (host $B, vdi attach"* ]]
	as b told xapi_ok vdi_deactivate "$V"
	as b told xapi_ok vdi_detach "$V"

	# Its lock is broken while it has no device: it gets none any more.
	as a told xapi_ok vdi_attach "$V" true
	guest_ok -n b "sm lock break $V --force && sm vdi attach $V --shared" >/dev/null
	is_told "$B" "vdi attach" as a told xapi_op vdi_activate "$V" true
	is_told "$B" "vdi attach" grun sm vdi activate "$V" --shared
	as a told xapi_ok vdi_detach "$V"
	guest_ok -n b "sm vdi detach $V && sm lock list --minimal" >/dev/null
	[ -z "$output" ]
}
