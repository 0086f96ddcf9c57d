#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `meson install` made is complete and can be used.

usage: test_install.py TREE
TREE: the DESTDIR of an installation with --prefix=/usr --sysconfdir=/etc. Prints TAP, with comments for the closing report.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(sys.argv[1]).resolve()
LIBRARY_MAX_BYTES = 100_000
# What must be there; ** stands for any folders, as that of the architecture.
EXPECTED = [
    "usr/bin/hearthctl", "usr/sbin/hearthd", "usr/libexec/hearth/hearth-worker",
    "usr/include/hearth.h", "usr/lib/**/libhearth.so", "usr/lib/**/libhearth.so.0", "usr/lib/**/pkgconfig/hearth.pc",
    "**/systemd/system/hearthd.service", "**/systemd/system/hearthd.socket", "**/sysusers.d/hearth.conf", "**/tmpfiles.d/hearth.conf",
    "etc/hearth/hearthd.conf", "usr/share/bash-completion/completions/hearthctl",
    "usr/share/man/man8/hearthd.8*", "usr/share/man/man1/hearthctl.1*", "usr/share/man/man5/hearthd.conf.5*", "usr/share/man/man3/hearth.3*",
]
PROGRAM = """
#include <hearth.h>
#include <stdio.h>
int main(void)
{
    struct hearth_client *c = NULL;
    if (hearth_client_new("/nonexistent/hearth.sock", &c) < 0) return 2;
    const int r = hearth_status(c, NULL, NULL, NULL);
    printf("%s\\n", hearth_client_error(c));
    hearth_client_free(c);
    return r < 0 ? 0 : 1;
}
"""
CONF = "[daemon]\nsocket = {0}/s\nmodels = {0}/models\ncache = {0}/cache\nworker = {1}/usr/libexec/hearth/hearth-worker\n"

n = failed = 0


def ok(right, what, detail=""):
    global n, failed
    n += 1
    failed += not right
    print(f"{'ok' if right else 'not ok'} {n} - {what}")
    if not right and detail:
        print("  " + str(detail).replace("\n", "\n  "))


def one(pattern):
    return next(iter(sorted(TREE.glob(pattern))), None)


def call(*command, **more):
    return subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def library():
    lib = one("usr/lib/**/libhearth.so.0")
    if not lib:
        return
    with tempfile.TemporaryDirectory() as d:
        stripped = pathlib.Path(d, "lib")
        call("strip", "-o", stripped, lib)
        size = stripped.stat().st_size
    needed = re.findall(r"NEEDED.*\[(.*?)\]", call("readelf", "-d", lib).stdout)
    ok(size < LIBRARY_MAX_BYTES, "libhearth is small", f"{size} bytes")
    ok(set(needed) <= {"libprotobuf-c.so.1", "libc.so.6", "ld-linux-x86-64.so.2"}, "libhearth links protobuf-c and libc alone", needed)
    print(f"# libhearth: {size} bytes stripped, links {', '.join(needed)}")


def compiles():
    """C99 and C++ programs, through pkg-config alone; the C one is run."""
    pc = one("usr/lib/**/pkgconfig/hearth.pc")
    if not pc:
        return
    env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(TREE),
           "LD_LIBRARY_PATH": str(pc.parent.parent)}
    env.pop("CC", None)
    flags = call("pkg-config", "--cflags", "--libs", "hearth", env=env).stdout.split()
    with tempfile.TemporaryDirectory() as d:
        for name, compiler in (("p.c", ["gcc", "-std=c99", "-pedantic"]), ("p.cc", ["g++", "-std=c++11"])):
            source, program = pathlib.Path(d, name), pathlib.Path(d, name + ".out")
            source.write_text(PROGRAM)
            r = call(*compiler, "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags, env=env)
            ok(r.returncode == 0, f"a program in {compiler[1][5:]} compiles without warnings", r.stdout)
            if r.returncode == 0:
                r = call(program, env=env)
                ok(r.returncode == 0 and r.stdout.strip(), "and says that hearthd is not there", f"exit {r.returncode}: {r.stdout}")


def serves():
    """hearthd of the tree, with its worker, answers hearthctl of the tree."""
    lib = one("usr/lib/**/libhearth.so.0")
    with tempfile.TemporaryDirectory() as d:
        pathlib.Path(d, "conf").write_text(CONF.format(d, TREE))
        env = {**os.environ, "LD_LIBRARY_PATH": str(lib.parent) if lib else "", "HEARTH_SOCKET": f"{d}/s"}
        with open(pathlib.Path(d, "log"), "w") as log:
            daemon = subprocess.Popen([TREE / "usr/sbin/hearthd", "--private", "--config", f"{d}/conf"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            for _ in range(200):
                r = call(TREE / "usr/bin/hearthctl", "status", "--json", env=env)
                if r.returncode == 0 or daemon.poll() is not None:
                    break
                time.sleep(0.05)
            ok(r.returncode == 0, "the installed hearthd answers the installed hearthctl", r.stdout)
        finally:
            daemon.terminate()
            status = daemon.wait(20)
        ok(status == 0, "and stops when it is asked to", f"exit {status}\n" + pathlib.Path(d, "log").read_text())


def main():
    for pattern in EXPECTED:
        ok(one(pattern) is not None, f"{pattern} is installed")
    service = one("**/systemd/system/hearthd.service")
    if service:
        command = re.search(r"^ExecStart=(\S+) --config (\S+)$", service.read_text(), re.M)
        ok(command and all((TREE / p.lstrip("/")).exists() for p in command.groups()), "hearthd.service names files that are installed", command)
    r = call(TREE / "usr/sbin/hearthd", "--check-config", "--config", TREE / "etc/hearth/hearthd.conf")
    ok(r.returncode == 0, "hearthd takes the installed hearthd.conf", r.stdout)
    library()
    compiles()
    serves()
    print(f"1..{n}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
