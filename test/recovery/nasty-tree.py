#!/usr/bin/env python3
"""Makes a tree with everything that a backup likes to lose: nasty-tree.py FOLDER (which must not exist).

As root also owners that are somebody else's, setuid, ACLs with names by number. Prints one line for what this file system
or user cannot have, so that a test can say what it did not try. Standard library only; ACLs through setfacl.
"""
import os
import socket
import stat
import subprocess
import sys

top = os.fsencode(os.path.abspath(sys.argv[1]))
os.mkdir(top, 0o755)
here = os.open(top, os.O_RDONLY)


def cannot(what, error):
    print("cannot: %s (%s)" % (what, error))


def path(*names):
    return os.path.join(top, *[n if isinstance(n, bytes) else n.encode() for n in names])


def write(at, content, mode=0o644):
    with open(at, "wb") as f:
        f.write(content)
    os.chmod(at, mode)


def stamp(at, seconds, nanoseconds, **how):
    ns = seconds * 10**9 + nanoseconds
    os.utime(at, ns=(ns, ns), **how)


# Plain things.
os.mkdir(path("empty folder"))
os.mkdir(path("closed"), 0o700)
write(path("closed", "in it"), b"x" * 511)
write(path("zero"), b"")
write(path("one block"), b"b" * 512)
write(path("one more"), b"c" * 513)
write(path("read only"), b"r", 0o400)
write(path("nothing allowed"), b"n", 0o000)
write(path("large"), os.urandom(9 * 1024 * 1024 + 3))
write(path("database-like"), b"".join(i.to_bytes(8, "big") * 64 for i in range(20000)))

# Names.
os.mkdir(path(b"not utf-8 \xff\xfe"))
write(path(b"not utf-8 \xff\xfe", b"\x80\x81"), b"bytes")
write(path("newline\nin name"), b"1")
write(path(" leading and trailing "), b"2")
write(path("-rf"), b"3")
write(path("*?[a]{b}"), b"4")
write(path("back\\slash\\n"), b"5")
write(path("\u00fcn\u00efc\u00f6d\u00e9 \U0001f600"), b"6")
write(path("u\u0308 decomposed"), b"7")
write(path("\u00fc composed"), b"8")
write(path("Case"), b"9")
write(path("case"), b"10")
write(path("\x01control\x7f"), b"11")
write(path("n" * 255), b"12")
write(path("GNUSparseFile.0"), b"13")
write(path("FILES.ndjson"), b"14")
os.mkdir(path("PaxHeaders"))
write(path("PaxHeaders", "x"), b"15")

# A path of just under 4,000 bytes below the top, made step by step, because no single call takes it.
deep = os.open(top, os.O_RDONLY)
length = 0
while length < 3990 - 200:
    name = b"d" * 190
    os.mkdir(name, dir_fd=deep)
    step = os.open(name, os.O_RDONLY, dir_fd=deep)
    os.close(deep)
    deep = step
    length += 191
name = b"e" * (3999 - length)
if len(name) > 255:
    name = name[:255]
f = os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=deep)
os.write(f, b"at the bottom")
os.close(f)
os.close(deep)

# Links.
os.symlink("zero", path("to a file"))
os.symlink("no such thing", path("dangling"))
os.symlink("/etc/passwd", path("absolute"))
os.symlink("../../../../..", path("upwards"))
os.symlink(b"s" * 4000, path("long symlink"))
os.symlink(b"\xff\xfe", path("symlink not utf-8"))
os.symlink("empty folder", path("to a folder"))
write(path("hard a"), b"h" * 5000)
os.link(path("hard a"), path("hard b"))
os.mkdir(path("zz"))
os.link(path("hard a"), path("zz", "hard c"))
try:
    os.link(path("dangling"), path("hard symlink"), follow_symlinks=False)
except OSError as error:
    cannot("a hard link to a symlink", error)

# Holes.
with open(path("sparse"), "wb") as f:
    f.truncate(64 * 1024 * 1024)
    f.seek(1024 * 1024)
    f.write(b"a" * 70000)
    f.seek(40 * 1024 * 1024 + 123)
    f.write(b"b")
with open(path("all hole"), "wb") as f:
    f.truncate(10 * 1024 * 1024)
with open(path("hole at end"), "wb") as f:
    f.write(b"z" * 10000)
    f.truncate(5 * 1024 * 1024)
with open(path("many holes"), "wb") as f:
    for i in range(300):
        f.seek(i * 65536)
        f.write(b"p" * 4096)

# Attributes.
for at, name, value in [
    ("zero", "user.empty", b""),
    ("zero", "user.binary", bytes(range(256))),
    ("zero", "user.has=equals", b"v"),
    ("zero", "user.n\u00e4me", b"v\n\0"),
    ("empty folder", "user.on.folder", b"1"),
    ("sparse", "user.on.sparse", b"2"),
    ("hard a", "user.on.hard", b"3"),
    ("one block", "user.long", b"x" * 3000),
]:
    try:
        os.setxattr(path(at), name, value)
    except OSError as error:
        cannot("xattr " + name, error)
for args in (["-m", "u:12345:r,g:54321:rw", "one block"], ["-m", "u:1:rwx", "closed"], ["-d", "-m", "g:7:rx", "closed"]):
    try:
        subprocess.run(["setfacl", *args[:-1], "--", path(args[-1])], check=True, stderr=subprocess.PIPE)
    except (OSError, subprocess.CalledProcessError) as error:
        cannot("ACL", error)

# Owners and special bits.
os.chmod(path("zz"), 0o1777)
os.mkdir(path("setgid folder"), 0o755)
os.chmod(path("setgid folder"), 0o2755)
if os.geteuid() == 0:
    os.chown(path("zz", "hard c"), 1234, 4321)
    os.lchown(path("dangling"), 99, 98)
    write(path("setuid"), b"#!/bin/true")
    os.chown(path("setuid"), 3000000, 2097152)
    os.chmod(path("setuid"), 0o6755)
    os.setxattr(path("setuid"), "trusted.only", b"root")
    write(path("capable"), b"x", 0o755)
    try:
        # CAP_NET_RAW, revision 2: what `setcap cap_net_raw+ep` writes.
        os.setxattr(path("capable"), "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    except OSError as error:
        cannot("a file capability", error)
else:
    cannot("other owners, setuid, trusted xattrs", "not root")

# What no backup can hold: left out, with a note.
s = socket.socket(socket.AF_UNIX)
os.chdir(top)
s.bind("a socket")
s.close()
os.mkfifo("a fifo")

# Times, last, from the inside out.
stamp(path("zero"), 1, 1)
stamp(path("one block"), 1700000000, 999999999)
stamp(path("one more"), -86400 * 365, 500000001)
stamp(path("large"), 4102444800, 123456789)
stamp(path("dangling"), 1600000000, 7, follow_symlinks=False)
stamp(path("empty folder"), 1500000000, 42)
stamp(path("closed"), 1400000000, 43)
stamp(path("zz"), 1300000000, 44)
stamp(top, 1234567890, 987654321)
