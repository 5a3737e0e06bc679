#!/usr/bin/env bash
# syslog-rfc5424-parser 0.3.2 (PyPI) and structured data.
#
# Expected: values as the sender meant them: \" \] \\ undone (RFC 5424, 6.3.3), every one of a repeated parameter
#           (`ip` of `origin` "MAY" be repeated, 7.2.1), no time for "-".
# Seen: 1. values keep their backslashes: a Windows path or a quoted name differs from the same name in the text.
#       2. of repeated parameters only the last is kept, without an error.
#       3. a missing time is neither None nor a text for a time, but a lark.Token "-": `if message.timestamp` is true.
#          (A missing host and a missing name are "-", a missing procid and msgid are None.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install syslog-rfc5424-parser==0.3.2 lark-parser==0.6.7
"$folder/venv/bin/python" - <<'PYTHON'
from syslog_rfc5424_parser import SyslogMessage
sent = {"path": r"C:\alarms", "name": 'pump "north"', "note": "[a]"}
escaped = " ".join('%s="%s"' % (name, value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")) for name, value in sent.items())
message = SyslogMessage.parse(f"<163>1 2026-11-30T09:00:00Z plant boiler - - [tag@32473 {escaped}] text")
for name, value in sent.items():
    print(f"sent {value!r}, read {message.sd['tag@32473'][name]!r}")
    assert message.sd["tag@32473"][name] != value
origin = SyslogMessage.parse('<163>1 2026-11-30T09:00:00Z plant boiler - - [origin ip="192.0.2.1" ip="192.0.2.2"] text').sd["origin"]
print("two addresses of the origin, read:", dict(origin))
assert dict(origin) == {"ip": "192.0.2.2"}
nothing = SyslogMessage.parse("<163>1 - - - - - - text")
print("nothing given:", {name: getattr(nothing, name) for name in ("timestamp", "hostname", "appname", "procid", "msgid")})
assert nothing.timestamp and nothing.hostname == "-" and nothing.procid is None
PYTHON
