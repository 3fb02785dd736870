# A line of JSON for each path; what RESULTS has is left out; a torn line is not a result.
CASES=$DATA/golden/cases
cp -r "$CASES/lora/expected" a
cp -r "$CASES/loha/expected" b
cp -r a broken
printf '{"peft_type": "LORA", "r": 3}' > broken/adapter_config.json
printf 'a\nb\nbroken\nmissing\n' > list
summary() { python3 -c '
import json, sys
for line in sorted(sys.stdin):
    fields = json.loads(line)
    print(fields["path"], fields["status"], fields["exit"], len(fields.get("id") or ""))'; }
"$FERRULE" id --files-from list --jobs 3 --jsonl > results; echo "exit $?"
summary < results
grep '"path":"a"' results > some
printf '{"path": "b", "sta' >> some
"$FERRULE" id --files-from list --resume some > new; echo "exit $?"
wc -l < new
grep -v '"sta$' some | summary
# Nothing is left but what the system refused.
"$FERRULE" id --files-from list --resume some | summary; echo "exit $?"
# Into the same file by the shell: no line twice.
rm -f all
"$FERRULE" verify --files-from list --resume all >> all; echo "exit $?"
wc -l < all
for verb in verify scan; do
  "$FERRULE" "$verb" --files-from list --jsonl --jobs 0 | summary
done
"$FERRULE" convert --files-from list -o out --to bin --jsonl --jobs 2 | summary
ls out/a
# Windows' line ends, empty lines, and a path that is there twice.
printf 'a\r\n\r\na\nb\n\na\n' > twice
"$FERRULE" id --files-from twice --jsonl --jobs 2 | summary
"$FERRULE" verify a --jobs many; echo "exit $?"
