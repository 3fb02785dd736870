// SPDX-License-Identifier: Apache-2.0
// The JavaScript client of the Hub, as a command. Prints one line of JSON.
//   client.mjs upload REPO FOLDER BRANCH xet|lfs [pr]     create if missing, then one commit of the folder
//   client.mjs snapshot REPO REVISION CACHE               the folder of the snapshot
//   client.mjs list REPO REVISION                         [[path, size, lfs oid or null]]
//   client.mjs download REPO REVISION PATH FILE           one file, as a stream
//   client.mjs stale REPO                                 a commit onto an old parent: the status it fails with
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import * as hf from "@huggingface/hub";

const [verb, repo, ...rest] = process.argv.slice(2);
const account = { accessToken: process.env.HF_TOKEN || undefined, hubUrl: process.env.HF_ENDPOINT };

function walk(folder) {
  return readdirSync(folder).sort().flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });
}

async function upload(folder, branch, how, pr) {
  try {
    await hf.createRepo({ repo, ...account });
  } catch (error) {
    if (error.statusCode !== 409) throw error;
  }
  if (branch !== "main") await hf.createBranch({ repo, branch, overwrite: true, ...account });
  const files = walk(folder).map((path) => ({ path: relative(folder, path), content: new Blob([readFileSync(path)]) }));
  const done = await hf.uploadFiles({ repo, files, branch, useXet: how === "xet", isPullRequest: pr === "pr", commitTitle: "From JavaScript", ...account });
  return { commit: done.commit.oid, pr: done.pullRequestUrl ?? null };
}

async function list(revision) {
  const found = [];
  for await (const file of hf.listFiles({ repo, revision, recursive: true, ...account })) {
    if (file.type === "file") found.push([file.path, file.size, file.lfs?.oid ?? null]);
  }
  return found;
}

async function download(revision, path, file) {
  const blob = await hf.downloadFile({ repo, revision, path, ...account });
  writeFileSync(file, Buffer.from(await blob.arrayBuffer()));
  return blob.size;
}

async function stale() {
  const info = await hf.modelInfo({ name: repo, additionalFields: ["sha"], ...account });
  const operation = (n) => [{ operation: "addOrUpdate", path: `${n}.txt`, content: new Blob([`${n}`]) }];
  await hf.commit({ repo, title: "one", operations: operation(1), parentCommit: info.sha, ...account });
  try {
    await hf.commit({ repo, title: "two", operations: operation(2), parentCommit: info.sha, ...account });
  } catch (error) {
    return error.statusCode;
  }
  return 200;
}

const verbs = {
  upload,
  list,
  download,
  stale,
  snapshot: (revision, cacheDir) => hf.snapshotDownload({ repo, revision, cacheDir, ...account }),
};
console.log(JSON.stringify(await verbs[verb](...rest)));
