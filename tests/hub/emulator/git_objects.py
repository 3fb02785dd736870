# SPDX-License-Identifier: Apache-2.0
"""Names of git's objects, computed as git does."""
import hashlib


def object_id(kind, content):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()


def blob_id(content):
    return object_id("blob", content)


def pointer(oid, size):
    """The text git-lfs commits in place of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


def trees(files):
    """{folder: content of its tree object} of {path: blob id}; "" is the root. Also {folder: id}."""
    children = {"": {}}
    for path, blob in files.items():
        folder, _, name = path.rpartition("/")
        children.setdefault(folder, {})[name] = (b"100644", blob)
        while folder:
            parent, _, _ = folder.rpartition("/")
            children.setdefault(parent, {})
            folder = parent
    contents, ids = {}, {}
    for folder in sorted(children, key=lambda f: -(f.count("/") + 1) if f else 0):
        entries = dict(children[folder])
        prefix = folder + "/" if folder else ""
        for child, oid in ids.items():
            if child and child.rpartition("/")[0] == folder and child.startswith(prefix):
                entries[child[len(prefix) :]] = (b"40000", oid)
        # git sorts a folder as if its name ended with a slash
        order = sorted(entries, key=lambda n: n.encode() + (b"/" if entries[n][0] == b"40000" else b""))
        contents[folder] = b"".join(b"%s %s\0" % (entries[n][0], n.encode()) + bytes.fromhex(entries[n][1]) for n in order)
        ids[folder] = object_id("tree", contents[folder])
    return contents, ids


def commit_text(tree, parents, author, email, when, message):
    who = f"{author} <{email}> {when} +0000"
    lines = [f"tree {tree}", *(f"parent {p}" for p in parents), f"author {who}", f"committer {who}", "", message]
    return ("\n".join(lines) + "\n").encode()


def pkt_line(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"%04x" % (len(data) + 4) + data
