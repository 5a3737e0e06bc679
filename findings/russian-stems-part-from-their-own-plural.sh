#!/usr/bin/env bash
# The Russian Snowball stemmer, snowballstemmer 3.1.1 (PyPI); PostgreSQL's `russian` and others follow the same rules.
#
# Expected: the forms of one regular noun get one stem, at least the common ones: "сигнал" and "сигналы".
# Seen: nouns that end like a verb or a participle (-ал, -ан, -ыв, -ев) lose that end in some forms only, so the singular
#       and the plural or the genitive of the same noun have two stems and do not find each other: сигна / сигнал, клапа / клапан,
#       кана / канал, обр / обрыв, перегр / перегрев, остан / останов. These are everyday words of alarms.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install snowballstemmer==3.1.1
"$folder/venv/bin/python" - <<'PYTHON'
import snowballstemmer
stem = snowballstemmer.stemmer("russian").stemWord
regular = {"насос": "насосами", "датчик": "датчиками", "пожар": "пожарами", "насоса": "насосов"}
torn = {
    "сигнал": "сигналами", "канал": "каналами", "терминал": "терминалами", "подвал": "подвалами", "клапан": "клапанами",
    "экран": "экранами", "барабан": "барабанами", "обрыв": "обрыва", "перегрев": "перегрева", "останов": "останова",
}
for words in regular, torn:
    for one, other in words.items():
        print(f"{one}, {other}: {stem(one)}, {stem(other)}")
assert all(stem(one) == stem(other) for one, other in regular.items())
assert all(stem(one) != stem(other) for one, other in torn.items())
PYTHON
