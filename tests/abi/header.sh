#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: header.sh INCLUDE_DIR COMPILER... : hearth.h by itself compiles as strict C99 with each C compiler that is
# there, and as C++98 and C++17 with each C++ compiler. Exit 77 (skipped) if none is there.
set -eu
include=$1
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/use.c" <<'END'
#include <hearth.h>
#include <hearth.h>
int main(void)
{
    struct hearth_client *c = 0;
    int r = hearth_client_new(0, &c);
    if (r == HEARTH_E_DENIED) return hearth_client_fd(c);
    (void)hearth_client_free(c);
    return r;
}
END
cp "$dir/use.c" "$dir/use.cc"
n=0
try() {
    "$@" -pedantic -Wall -Wextra -Werror -I"$include" -c -o "$dir/use.o"
    n=$((n + 1))
    echo "ok: $*"
}
for compiler; do
    command -v "$compiler" >/dev/null || continue
    case $compiler in
    *++*)
        try "$compiler" -std=c++98 -Wno-long-long "$dir/use.cc" # stdint.h has long long
        try "$compiler" -std=c++17 "$dir/use.cc"
        # the name in a C++ object is the C one
        nm "$dir/use.o" | grep -q ' U hearth_client_new$'
        ;;
    *)
        try "$compiler" -std=c99 "$dir/use.c"
        try "$compiler" -std=c17 -Wstrict-prototypes "$dir/use.c"
        ;;
    esac
done
[ "$n" -gt 0 ] || exit 77
