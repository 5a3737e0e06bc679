#!/usr/bin/env bash
# segno 1.6.6 (PyPI) makes the QR code, jsqr 1.4.0 (npm), which web apps scan with, reads it.
#
# Expected: segno.make(text) is a QR code, and every QR reader reads it.
# Seen: a short text becomes a *Micro* QR code, another format with one corner square. jsQR finds nothing, and so do the
#       readers that support only plain QR codes. It depends on the text: a pairing code of six digits or letters and even a short
#       address in capitals are Micro, a longer one is not, so the test with the long address passes. zxing-cpp 3.1.1 reads both.
# segno.make_qr() and make(…, micro=False) always make plain codes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install segno==1.6.6 zxing-cpp==3.1.1 numpy==2.4.6
npm install --silent --no-audit --no-fund jsqr@1.4.0 >/dev/null
cat >read.cjs <<'JAVASCRIPT'
const { readFileSync } = require('node:fs');
const { default: jsQR } = require('jsqr');
const grey = readFileSync(0), side = Math.sqrt(grey.length);
console.log(jsQR(Uint8ClampedArray.from({ length: grey.length * 4 }, (_, i) => (i % 4 === 3 ? 255 : grey[i >> 2])), side, side)?.data ?? '');
JAVASCRIPT
venv/bin/python - <<'PYTHON'
import subprocess, numpy, segno, zxingcpp
seen = {}
for make in segno.make, segno.make_qr:
    for text in "482913", "K7QX2M", "HTTPS://SIMO.TEST/P/1", "https://simo.test/pair/482913":
        code = make(text)
        modules = numpy.array([list(row) for row in code.matrix_iter(scale=8, border=4)], dtype=numpy.uint8)
        grey = numpy.ascontiguousarray((1 - modules) * 255)
        web = subprocess.run(["node", "read.cjs"], input=grey.tobytes(), capture_output=True, check=True).stdout.decode().strip()
        other = [found.text for found in zxingcpp.read_barcodes(grey)]
        seen[make.__name__, text] = web == text
        print(f"segno.{make.__name__}({text!r}): {code.designator}, jsQR reads {web!r}, zxing-cpp {other}")
        assert other == [text]
assert [readable for (make, _), readable in seen.items() if make == "make"] == [False, False, False, True]
assert all(readable for (make, _), readable in seen.items() if make == "make_qr")
PYTHON
