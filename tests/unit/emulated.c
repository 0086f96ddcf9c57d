/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Criterion starts its own program again for each test. Under an emulator (qemu-user) the kernel cannot do that: the program
 * is of another architecture. This execve(), linked into tests of a cross build, comes before libc's and starts the
 * emulator with the program: EMULATOR is a list of words in C, "qemu-aarch64", "-L", ...
 */
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARGS_MAX = 64 };

int execve(const char *path, char *const argv[], char *const envp[])
{
    const char *const emulator[] = { EMULATOR };
    const char *args[ARGS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(emulator) / sizeof(emulator[0]); i++) args[n++] = emulator[i];
    args[n++] = path;
    for (size_t i = argv[0] ? 1 : 0; argv[i]; i++) {
        if (n == ARGS_MAX - 1) {
            errno = E2BIG;
            return -1;
        }
        args[n++] = argv[i];
    }
    args[n] = NULL;
    return (int)syscall(SYS_execve, args[0], args, envp);
}
