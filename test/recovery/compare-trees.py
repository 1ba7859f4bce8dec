#!/usr/bin/env python3
"""Compares two trees as the kernel shows them: compare-trees.py [--ignore NAME]... [--kinds-left-out] A B.

Every name, type, permission bit, owner, group, time of change to the nanosecond, size, content, extended attribute (ACLs
are some), symlink text, which names are one file, and where the holes are. Prints one line for each difference and exits
1, or 0 when there is none. It shares no code with what it judges and needs the standard library only.
--ignore NAME: a path below the top that only one of them may have. --kinds-left-out: sockets, fifos and devices may be missing in B.
"""
import hashlib
import os
import stat
import sys

ignored, left_out, trees = set(), False, []
arguments = iter(sys.argv[1:])
for argument in arguments:
    if argument == "--ignore":
        ignored.add(os.fsencode(next(arguments)))
    elif argument == "--kinds-left-out":
        left_out = True
    else:
        trees.append(argument)
if len(trees) != 2:
    sys.exit(__doc__)


def digest(fd):
    total = hashlib.sha256()
    while block := os.read(fd, 1 << 20):
        total.update(block)
    return total.hexdigest()


def data_ranges(fd, size):
    ranges, at = [], 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        ranges.append((start, at))
    os.lseek(fd, 0, os.SEEK_SET)
    return ranges


def attributes(name, folder):
    at = b"/proc/self/fd/%d/%s" % (folder, name)
    try:
        return {key: os.getxattr(at, key, follow_symlinks=False) for key in os.listxattr(at, follow_symlinks=False)}
    except OSError as error:
        return {"error": str(error).encode()}


def read(top):
    found, same = {}, {}

    def look(folder, name, path):
        s = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kind = stat.S_IFMT(s.st_mode)
        if path in ignored or (left_out and kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)):
            return
        facts = {
            "type": kind,
            "mode": oct(stat.S_IMODE(s.st_mode)),
            "owner": s.st_uid,
            "group": s.st_gid,
            "mtime": s.st_mtime_ns,
            "attributes": attributes(name, folder),
        }
        if kind == stat.S_IFLNK:
            facts["link"] = os.readlink(name, dir_fd=folder)
        if kind == stat.S_IFREG:
            facts["size"] = s.st_size
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
            facts["content"] = digest(fd)
            facts["_data"] = sum(end - start for start, end in data_ranges(fd, s.st_size))
            facts["_blocks"] = s.st_blocks
            os.close(fd)
        if kind != stat.S_IFDIR and s.st_nlink > 1:
            same.setdefault((s.st_dev, s.st_ino), []).append(path)
        found[path] = facts
        if kind == stat.S_IFDIR:
            inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
            for entry in sorted(os.listdir(inner)):
                below = os.fsencode(entry)
                look(inner, below, path + b"/" + below if path != b"." else below)
            os.close(inner)

    root = os.open(os.fsencode(top), os.O_RDONLY)
    look(root, b".", b".")
    os.close(root)
    for paths in same.values():
        for path in paths:
            found[path]["names"] = sorted(paths)
    return found


sys.setrecursionlimit(10000)
a, b = read(trees[0]), read(trees[1])
differences = 0


def differs(path, what, left, right):
    global differences
    differences += 1
    print("%s: %s: %r != %r" % (os.fsdecode(path).encode("utf-8", "backslashreplace").decode(), what, left, right))


for path in sorted(a.keys() | b.keys()):
    if path not in a or path not in b:
        differs(path, "is there", path in a, path in b)
        continue
    left, right = a[path], b[path]
    for what in sorted(left.keys() | right.keys()):
        if what.startswith("_"):
            continue
        if left.get(what) != right.get(what):
            differs(path, what, left.get(what), right.get(what))
    # Holes may move by a block of the file system, but a file with holes stays one.
    size = left.get("size", 0)
    slack = 65536 + (left.get("_data", 0) // 2)
    if size > 1 << 20 and left.get("_data") is not None and right["_data"] > left["_data"] + slack:
        differs(path, "stored bytes", left["_data"], right["_data"])
if not a:
    sys.exit("nothing to compare")
print("%d names compared, %d differences" % (len(a.keys() | b.keys()), differences))
sys.exit(1 if differences else 0)
