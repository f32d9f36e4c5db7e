#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016,SC2034,SC2154 # reply is for the tests, BATS_* come from bats
#
# SMAPIv1: what xapi sends and what it gets, byte for byte.
# tests/data/smapi1/NAME.call is an argument as xapi gives it, NAME.PROGRAM is
# the answer of that driver.  xmllint and Python judge every answer.

bats_require_minimum_version 1.5.0

SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
VDI=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21

setup() {
	DATA=$BATS_TEST_DIRNAME/../data/smapi1
	DIR=$BATS_TEST_TMPDIR
	BIN=$DIR/bin
	export SM_ROOT=$DIR/root SM_GC=off
	mkdir -p "$BIN" "$SM_ROOT" "$DIR/replies" "$DIR/disks"
	for name in sm FileSR DummySR ISOSR; do
		ln -s "$(realpath "$(command -v "${SM:-sm}")")" "$BIN/$name"
	done
	VERSION=$(sed -n 's/^VERSION := //p' "$BATS_TEST_DIRNAME/../../Makefile")
	n=0
}

teardown() {
	judge
}

# Every answer is XML, and Python's reader of XML-RPC takes it.
judge() {
	[ -n "$(ls "$DIR/replies")" ] || return 0
	xmllint --noout "$DIR"/replies/*
	python3 - "$DIR"/replies/* <<-'END'
	import sys, xmlrpc.client
	for name in sys.argv[1:]:
	    try:
	        values, method = xmlrpc.client.loads(open(name, "rb").read())
	        assert len(values) == 1 and method is None, name
	    except xmlrpc.client.Fault as f:
	        assert isinstance(f.faultCode, int) and f.faultString, name
	END
}

# call PROGRAM ARGUMENT...: leaves the answer in $reply.  Whatever is asked, the
# exit status is 0 and stderr is empty.
call() {
	local program=$1

	shift
	n=$((n + 1))
	reply=$DIR/replies/$n.xml
	"$BIN/$program" "$@" >"$reply" 2>"$DIR/stderr" </dev/null
	[ ! -s "$DIR/stderr" ]
}

# The document of a file in tests/data/smapi1.
doc() {
	sed "s|@DIR@|$DIR|g" "$DATA/$1.call"
}

# golden PROGRAM NAME [CALL]: the answer is that of the file, to the byte.
golden() {
	call "$1" "$(doc "${3:-$2}")"
	sed "s|@DIR@|$DIR|g; s|@VERSION@|$VERSION|g" "$DATA/$2.$1" | diff - "$reply"
}

# fault CODE [TEXT]: the answer is that fault, and the text is in it.
fault() {
	grep -qF "<name>faultCode</name><value><int>$1</int></value>" "$reply" || {
		cat "$reply"
		return 1
	}
	[ -z "${2-}" ] || grep -qF -- "$2" "$reply" || {
		cat "$reply"
		return 1
	}
}

nil() {
	local want='<methodResponse><params><param><value><nil/></value></param></params></methodResponse>'

	[ "$(cat "$reply")" = "$want" ] || {
		cat "$reply"
		return 1
	}
}

# A call made of members given as XML.
members() {
	printf '<methodCall><methodName>%s</methodName><params><param><value><struct>%s</struct></value></param></params></methodCall>' "$1" "$2"
}

# A member with a plain string.
m() {
	printf '<member><name>%s</name><value>%s</value></member>' "$1" "$2"
}

# --- golden answers ----------------------------------------------------------

@test "driver info of each driver" {
	golden FileSR driver_info
	golden DummySR driver_info
}

@test "driver info is answered before anything else is looked at" {
	call FileSR '<methodCall><methodName>sr_get_driver_info</methodName></methodCall>'
	grep -q '<name>capabilities</name>' "$reply"
	call FileSR "$(members sr_get_driver_info "$(m command other)$(m sr_uuid nonsense)")"
	grep -q '<name>capabilities</name>' "$reply"
}

@test "a driver that is not built in faults with 48" {
	call ISOSR "$(doc driver_info)"
	fault 48 ISOSR
}

@test "vdi_create answers location and uuid" {
	golden DummySR vdi_create
	golden DummySR vdi_create vdi_create_raw
}

@test "vdi_create without a uuid makes one" {
	call DummySR "$(doc vdi_create_device)"
	run grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' "$reply"
	[ "${#lines[@]}" -eq 2 ]
	[ "${lines[0]}" = "${lines[1]}" ]
	call DummySR "$(doc vdi_create_device)"
	run ! grep -q "${lines[0]}" "$reply"
}

@test "vdi_attach: the link to the device, and what a guest reads from its disk" {
	golden DummySR vdi_attach
	# The values that the protocol's own description gives for this uuid.
	call DummySR "$(doc vdi_attach | sed "s/$VDI/$SR/g")"
	grep -qF '<name>scsi/0x12/0x80</name><value><string>AIAAEjZmMGMxYTUyLTNiN2UtNGQgIA==<' "$reply"
	grep -qF '<name>scsi/0x12/0x83</name><value><string>AIMAMQIBAC1YRU5TUkMgIDZmMGMxYTUyLTNiN2UtNGQwYS05YTUxLTBkMmM0YjhmN2UxMSA=<' "$reply"
}

@test "calls without a result answer nil" {
	for c in sr_create sr_attach sr_scan sr_update vdi_update vdi_epoch_begin vdi_epoch_end; do
		call DummySR "$(doc $c)"
		nil
	done
	call DummySR "$(doc vdi_attach)"
	for c in vdi_activate vdi_deactivate vdi_detach vdi_detach vdi_delete sr_detach sr_delete; do
		call DummySR "$(doc $c)"
		nil
	done
}

@test "vdi_resize answers location and uuid, also by its name of 2012" {
	golden DummySR vdi_resize
	golden DummySR vdi_resize vdi_resize_online
}

@test "sr_content_type answers a string" {
	golden DummySR sr_content_type
}

@test "sr_probe answers XML within a string" {
	golden FileSR sr_probe_none sr_probe
	call FileSR "$(doc sr_create_file)"
	nil
	golden FileSR sr_probe
	golden FileSR sr_probe_metadata
	python3 - "$reply" <<-END
	import sys, xmlrpc.client, xml.dom.minidom
	text = xmlrpc.client.loads(open(sys.argv[1]).read())[0][0]
	uuid = xml.dom.minidom.parseString(text).getElementsByTagName("UUID")
	assert [u.firstChild.data for u in uuid] == ["$SR"]
	END
}

@test "sr_create twice is refused with 42, sr_delete may be repeated" {
	call FileSR "$(doc sr_create_file)"
	nil
	call FileSR "$(doc sr_create_file)"
	fault 42
	call FileSR "$(doc sr_delete_file)"
	nil
	call FileSR "$(doc sr_delete_file)"
	nil
}

@test "vdi_generate_config makes a call that attaches and one that detaches" {
	golden DummySR vdi_generate_config
	config=$(python3 -c 'import sys, xmlrpc.client
print(xmlrpc.client.loads(open(sys.argv[1]).read())[0][0])' "$reply")
	call DummySR "$config"
	grep -q '<name>params</name><value><string>' "$reply"
	call DummySR "${config//attach_from/detach_from}"
	nil
}

@test "what a driver cannot do faults with 38" {
	for c in vdi_snapshot vdi_clone vdi_introduce vdi_compose vdi_revert vdi_enable_cbt \
		 vdi_disable_cbt vdi_data_destroy vdi_list_changed_blocks vdi_epoch_begin_reset unknown; do
		call DummySR "$(doc $c)"
		fault 38
	done
	golden DummySR unknown
	call DummySR "$(doc sr_probe)"
	fault 38
}

@test "commands of the other API are unknown here" {
	for c in vdi_lock vdi_unlock sr_get_params vdi_get_params; do
		call DummySR "$(doc vdi_delete | sed "s/vdi_delete/$c/g")"
		fault 38 "unknown command '$c'"
	done
}

@test "a file SR from create to delete" {
	unshare -rm mount --bind "$DIR/disks" "$DIR/disks" || skip "nothing can be mounted here"
	cat >"$DIR/life.sh" <<-'END'
	for c; do
		FileSR "$(sed "s|@DIR@|$DIR|g" "$DATA/$c.call")" || exit
	done
	END
	export DIR DATA
	PATH=$BIN:$PATH unshare -rm sh "$DIR/life.sh" sr_create_file sr_attach_file sr_attach_file \
		vdi_create_file vdi_create_file vdi_resize_file vdi_attach_file sr_detach_file \
		vdi_delete_file vdi_detach_file sr_delete_file vdi_delete_file vdi_delete_file \
		vdi_attach_file sr_detach_file sr_detach_file vdi_create_file sr_delete_file >"$DIR/life"
	# Details of a fault are for people and may change.
	sed -i 's/ \[opterr=[^<]*\]//' "$DIR/life"
	sed "s|@DIR@|$DIR|g" "$DATA/life.FileSR" | diff - "$DIR/life"
}

@test "what is too long for a disk's record makes no disk" {
	unshare -rm mount --bind "$DIR/disks" "$DIR/disks" || skip "nothing can be mounted here"
	{ doc vdi_create_file | sed 's|\(<name>vdi_type</name><value>\)[^<]*.*|\1|'
		head -c 33 /dev/zero | tr '\0' x
		doc vdi_create_file | sed 's|.*<name>vdi_type</name><value>[^<]*||'; } | tr -d '\n' >"$DIR/long"
	grep -q xxxx "$DIR/long"
	cat >"$DIR/long.sh" <<-'END'
	FileSR "$(sed "s|@DIR@|$DIR|g" "$DATA/sr_create_file.call")" &&
	FileSR "$(sed "s|@DIR@|$DIR|g" "$DATA/sr_attach_file.call")" >/dev/null &&
	FileSR "$(cat "$DIR/long")" >"$DIR/reply"
	END
	export DIR DATA
	PATH=$BIN:$PATH unshare -rm sh "$DIR/long.sh"
	reply=$DIR/reply
	fault 143 'the text is too large'
	[ -z "$(find "$DIR/disks" -name '*.raw')" ]
}

# --- values ------------------------------------------------------------------

@test "a size that is none faults with 79" {
	call DummySR "$(doc vdi_create_size)"
	fault 79 "'-1'"
	for size in '' 0x10 1.5 9223372036854775808 99999999999999999999999 -0; do
		call DummySR "$(doc vdi_resize | sed "s/21474836480/$size/")"
		fault 79
	done
}

@test "a name may have lines, and may be long but not too long" {
	local whole long

	whole=$(doc vdi_create)
	call DummySR "${whole/data disk/$'two\nlines\tand\x7f more'}"
	diff "$DATA/vdi_create.DummySR" "$reply"
	long=$(head -c 4096 /dev/zero | tr '\0' x)
	call DummySR "${whole/second disk of vm7/$long}"
	diff "$DATA/vdi_create.DummySR" "$reply"
	call DummySR "${whole/second disk of vm7/${long}x}"
	fault 1
}

@test "an image type that is none faults with 66, and is escaped in the answer" {
	call DummySR "$(doc vdi_create_type)"
	fault 66 "'&lt;/string&gt;]]&gt;&amp;&lt;nil/&gt;'"
}

@test "what is missing in dconf is named by its fault" {
	call FileSR "$(doc sr_create)"
	fault 94 location
	call FileSR "$(doc sr_create_relative)"
	fault 2 location
}

@test "a uuid that is none faults with 1" {
	for bad in nonsense 6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e1 '../../etc/passwd' 6f0c1a52; do
		call DummySR "$(doc vdi_attach | sed "s|<name>sr_uuid</name><value>$SR|<name>sr_uuid</name><value>$bad|")"
		fault 1
		call DummySR "$(doc vdi_attach | sed "s|<name>vdi_uuid</name><value>$VDI|<name>vdi_uuid</name><value>$bad|")"
		fault 1
		call DummySR "$(doc vdi_create | sed "s|<name>vdi_uuid</name><value>$VDI|<name>vdi_uuid</name><value>$bad|")"
		fault 1
	done
}

@test "typed and spaced values mean the same" {
	d='<?xml version="1.0" encoding="UTF-8"?>
<!-- as another writer would have it -->
<methodCall>
 <methodName>vdi_resize</methodName>
 <params>
  <param><value><struct>
   <member><name>command</name><value><string>vdi_resize</string></value></member>
   <member><name>args</name><value><array><data><value><i4>1048576</i4></value></data></array></value></member>
   <member><name>device_config</name><value><struct></struct></value></member>
   <member><name>sr_uuid</name><value><![CDATA['$SR']]></value></member>
   <member><name>vdi_uuid</name><value>&#50;b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21</value></member>
  </struct></value></param>
 </params>
</methodCall>'
	call DummySR "$d"
	diff "$DATA/vdi_resize.DummySR" "$reply"
	call DummySR "$(doc vdi_attach | sed 's|<value>true</value></data>|<value><boolean>1</boolean></value></data>|')"
	grep -q params_nbd "$reply"
}

# --- calls that are none -----------------------------------------------------

@test "any other count of arguments than one faults with 143" {
	call DummySR "$(doc vdi_attach)" more
	fault 143
	call DummySR '<methodCall>' '' ''
	fault 143
}

@test "a call that ends anywhere faults with 143" {
	whole=$(doc vdi_create)
	for ((at = 1; at < ${#whole}; at += 97)); do
		call DummySR "${whole:0:at}"
		fault 143
	done
	[ "$n" -gt 10 ]
}

@test "a call as long as an argument can be is read" {
	pad=$(head -c 100000 /dev/zero | tr '\0' x)
	call DummySR "$(doc vdi_resize | sed "s/OpaqueRef:r1/$(printf %s "$pad" | head -c 60000)/")"
	diff "$DATA/vdi_resize.DummySR" "$reply"
	call DummySR "<$pad"
	fault 143
	call DummySR "$(members vdi_resize "$pad")"
	fault 143
}

@test "a thousand levels fault with 143" {
	call DummySR "$(printf '<a>%.0s' {1..1000})"
	fault 143
	deep=$(printf '<value><array><data>%.0s' {1..300})$(printf '</data></array></value>%.0s' {1..300})
	call DummySR "<methodCall><methodName>sr_scan</methodName><params><param>$deep</param></params></methodCall>"
	fault 143
}

@test "values of the wrong type fault with 143" {
	call DummySR '<methodCall><methodName>sr_scan</methodName><params><param><value>text</value></param></params></methodCall>'
	fault 143
	call DummySR '<methodCall><methodName>sr_scan</methodName><params/></methodCall>'
	fault 143
	call DummySR '<methodResponse><params/></methodResponse>'
	fault 143
	call DummySR "$(doc vdi_create | sed 's|<name>device_config</name>.*<name>session_ref|<name>device_config</name><value>text</value></member><member><name>session_ref|')"
	fault 143 device_config
	call DummySR "$(doc vdi_create | sed 's|<name>vdi_sm_config</name><value><struct/>|<name>vdi_sm_config</name><value>text|')"
	fault 143 vdi_sm_config
	call DummySR "$(doc vdi_snapshot | sed 's|<name>driver_params</name><value><struct/>|<name>driver_params</name><value><nil/>|')"
	fault 143 driver_params
	for key in sr_uuid vdi_uuid session_ref vdi_type command; do
		call DummySR "$(doc vdi_create | sed "s|<name>$key</name><value>[^<]*</value>|<name>$key</name><value><int>7</int></value>|")"
		fault 143
		call DummySR "$(doc vdi_create | sed "s|<name>$key</name><value>[^<]*</value>|<name>$key</name><value><array><data/></array></value>|")"
		fault 143
	done
	call DummySR "$(doc vdi_resize | sed 's|<value>21474836480</value>|<value><struct/></value>|')"
	fault 143
	call DummySR "$(doc vdi_resize | sed 's|<value>21474836480</value>|<value><int>x</int></value>|')"
	fault 143
	call DummySR "$(doc vdi_attach | sed 's|<value>true</value></data>|<value>maybe</value></data>|')"
	fault 143
	call DummySR "$(doc vdi_attach | sed 's|<array><data>.*</data></array>|<struct/>|')"
	fault 143
}

@test "a member given twice faults with 143" {
	call DummySR "$(doc vdi_attach | sed 's|<member><name>sr_uuid</name>|<member><name>sr_uuid</name><value>x</value></member>&|')"
	fault 143
	call DummySR "$(doc vdi_attach | sed 's|<member><name>SRmaster</name>|<member><name>SRmaster</name><value>x</value></member>&|')"
	fault 143
}

@test "a member that is missing faults with 143" {
	call DummySR "$(members sr_scan "$(m command sr_scan)$(m sr_uuid $SR)")"
	fault 143 device_config
	call DummySR "$(doc sr_scan | sed 's|<name>sr_uuid</name>|<name>sr</name>|')"
	fault 143 sr_uuid
	call DummySR "$(doc vdi_delete | sed 's|<name>vdi_uuid</name>|<name>vdi</name>|')"
	fault 143 vdi_uuid
	for c in vdi_create vdi_resize vdi_attach vdi_activate; do
		call DummySR "$(doc $c | sed 's|<array><data>.*</data></array>|<array><data/></array>|')"
		fault 143 args
		call DummySR "$(doc $c | sed 's|<name>args</name>|<name>arguments</name>|')"
		fault 143 args
	done
}

@test "a command that is not the method faults with 143" {
	call DummySR "$(doc vdi_delete | sed 's|<methodName>vdi_delete|<methodName>vdi_attach|')"
	fault 143 command
}

@test "document types and entities fault with 143" {
	call DummySR '<!DOCTYPE methodCall SYSTEM "file:///etc/passwd"><methodCall/>'
	fault 143
	call DummySR '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><methodCall><methodName>&x;</methodName></methodCall>'
	fault 143
	run ! grep -q root: "$reply"
	call DummySR "$(doc vdi_create | sed 's/data disk/\&xxe;/')"
	fault 143
	call DummySR '<?xml version="1.0" encoding="UTF-16"?><methodCall/>'
	fault 143
}

@test "characters that XML does not have fault with 447" {
	local LC_ALL=C whole

	whole=$(doc vdi_create)
	for c in $'\x01' $'\x1b' '&#1;' '&#x0;' '&#xfffe;' $'\xff' $'\xc0\xaf' $'\xed\xa0\x80'; do
		call DummySR "${whole/data disk/"data${c}disk"}"
		fault 447
	done
}

@test "a name cannot forge an answer" {
	local forged='&lt;/string&gt;&lt;fault&gt;&amp;' whole

	whole=$(doc unknown)
	call DummySR "${whole//vdi_frobnicate/"$forged"}"
	fault 38 "$forged"
	whole=$(doc vdi_attach)
	call DummySR "${whole//$SR/"$forged"}"
	fault 1 "$forged"
}

@test "an answer that nobody takes is the one failure that shows in the exit status" {
	run bash -c 'exec "$@" >/dev/full' - "$BIN/DummySR" "$(doc sr_scan)"
	[ "$status" -ne 0 ]
}

# --- around it ---------------------------------------------------------------

@test "without xapi's socket it works alone, and says so in the log only" {
	call DummySR "$(doc vdi_create)"
	grep -q "$VDI" "$reply"
}

@test "a socket that nobody listens at faults with 154, and nothing is done" {
	mkdir -p "$SM_ROOT/var/lib/xcp"
	(cd "$SM_ROOT/var/lib/xcp" && python3 -c 'import socket
socket.socket(socket.AF_UNIX).bind("xapi")')
	call FileSR "$(doc sr_create_file)"
	fault 154 'Connection refused'
	[ -z "$(ls -A "$DIR/disks")" ]
}

@test "a socket that answers faults with 154, and nothing is done" {
	mkdir -p "$SM_ROOT/var/lib/xcp"
	cd "$SM_ROOT/var/lib/xcp"
	python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("xapi")
s.listen()
print(flush=True)
time.sleep(30)' >"$DIR/ready" 3>&- &
	server=$!
	while [ ! -s "$DIR/ready" ]; do sleep 0.05; done
	call FileSR "$(doc sr_create_file)"
	kill $server
	fault 154 'not built in'
	[ -z "$(ls -A "$DIR/disks")" ]
	call FileSR "$(doc driver_info)"
	grep -q capabilities "$reply"
}

