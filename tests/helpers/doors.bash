# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The same operation through each door, for the compliance suite.
#
#	door=xapi
#	do_op sr_create && do_op vdi_create "$VDI" 16
#
# do_op NAME [VDI] [MIB] works on the SR $SR of type $TYPE, and leaves the status, output and stderr of its call.  A fault of
# SMAPIv1, whose exit status is always 0, is turned into status 1 and $fault.

# applet TYPE: the name by which xapi would execute the driver, as the program tells it.
applet() {
	"$SM_BUILD/bin/sm" help types | sed -n "s/^$1 (\([A-Za-z0-9]*\).*/\1/p"
}

# dconf: where the SR's storage is, a KEY=VALUE a line.  Files lie in /srv/$SR, volumes
# on the guest's second disk, and an export in the guest is /mnt/exp (nfs/server.sh).
dconf() {
	case $TYPE in
	lvm) echo device=/dev/ubdb ;;
	nfs) printf '%s\n' server=10.77.0.2 serverpath=/pool nfsversion=4.1 ;;
	*) echo "location=/srv/$SR" ;;
	esac
}

# people_dconf, old_dconf, xml_dconf: the same, as each door says it.
people_dconf() { dconf | sed '1 ! s/^/--dconf /' | paste -sd ' '; }
old_dconf() {
	case $TYPE in
	file) echo /srv ;;
	lvm) echo /dev/ubdb ;;
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
	grun "$(applet "$TYPE")" "$(xml_call "$@")" >/dev/null 2>&1 || return
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
	grun sm "$@" >/dev/null 2>&1
}

old_op() {
	grun sm "$1" -t "$TYPE" -d "$(old_dconf)" "$SR" "${@:2}" >/dev/null 2>&1
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
