/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two walls. seccomp lists the system calls that computing on given descriptors needs: others fail with EPERM, and those
 * that only an intruder would try end the process. Landlock takes away the file system, for the case that the list has
 * a hole. Left out on purpose: prctl and ioctl but for what is named, so that neither wall can be looked at.
 */
#include <errno.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "worker/sandbox.h"

/* What these headers may not have yet (Linux 6.2, 6.7, 6.10, 6.12). */
#define FS_TRUNCATE           (UINT64_C(1) << 14)
#define FS_IOCTL_DEV          (UINT64_C(1) << 15)
#define NET_BIND_CONNECT      UINT64_C(3)
#define SCOPE_ABSTRACT_SIGNAL UINT64_C(3)

static const int allowed[] = {
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    /* threads */
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(tgkill),
    /* the descriptors that it has */
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(fadvise64),
    SCMP_SYS(readahead),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    /* clocks and chance */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    /* how much memory there is, which glibc's qsort asks */
    SCMP_SYS(sysinfo),
};

static const int fatal[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(bpf),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(kexec_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
};

static void filter_freep(scmp_filter_ctx *f)
{
    if (*f) seccomp_release(*f);
}

static int add_rules(scmp_filter_ctx f)
{
    int r = 0;

    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && r == 0; i++)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]) && r == 0; i++)
        r = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, fatal[i], 0);
    if (r == 0)
        r = seccomp_rule_add(
            f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
            SCMP_A1(SCMP_CMP_MASKED_EQ, ~UINT64_C(7), 0)); /* DUPFD, GETFD, SETFD, GETFL, SETFL */
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                             SCMP_A1(SCMP_CMP_EQ, 1030)); /* F_DUPFD_CLOEXEC */
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                             SCMP_A1(SCMP_CMP_EQ, 1034)); /* F_GET_SEALS */
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_EQ, FICLONE)); /* import: share blocks */
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                             SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    if (r == 0)
        r = seccomp_rule_add(
            f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
            SCMP_A0(SCMP_CMP_EQ, 0x53564d41)); /* PR_SET_VMA: malloc names its memory */
    return r;
}

static int enter_seccomp(struct reason *why)
{
    CLEANUP(filter_freep) scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));

    if (!f) return err_raise(-ENOMEM);
    int r = add_rules(f);
    if (r == 0) r = seccomp_load(f);
    if (r == 0) return 0;
    reason_set(why, "the kernel refuses the system call filter: error %d", -r);
    return err_raise(r);
}

struct ruleset { /* struct landlock_ruleset_attr of newer headers */
    uint64_t fs, net, scoped;
};

/* No rule is added, so that nothing that is handled is allowed. Return: the ABI version, 0 without Landlock, -errno. */
static int enter_landlock(struct reason *why)
{
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset a = { .fs = (UINT64_C(1) << 13) - 1 }; /* ABI 1: execute ... make symlinks */

    if (abi < 1) return 0;
    if (abi >= 2) a.fs |= UINT64_C(1) << 13; /* refer */
    if (abi >= 3) a.fs |= FS_TRUNCATE;
    if (abi >= 4) a.net = NET_BIND_CONNECT;
    if (abi >= 5) a.fs |= FS_IOCTL_DEV;
    if (abi >= 6) a.scoped = SCOPE_ABSTRACT_SIGNAL;
    const size_t size = abi >= 6 ? sizeof(a) : abi >= 4 ? 16 : 8;
    CLEANUP(closep) int fd = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
    if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) != 0) {
        const int r = -errno;
        reason_set(why, "the kernel refuses a Landlock ruleset of version %ld", abi);
        return err_raise(r);
    }
    return (int)abi;
}

int sandbox_enter(char *ret, struct reason *why)
{
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none); /* a core file would have what users said */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        reason_set(why, "the kernel refuses no_new_privs");
        return err_raise(-errno);
    }
    const int abi = enter_landlock(why);
    if (abi < 0) return err_pass(abi);
    const int r = enter_seccomp(why);
    if (r < 0) return err_pass(r);
    if (abi > 0)
        (void)snprintf(ret, SANDBOX_TEXT_MAX, "seccomp, landlock %d", abi);
    else
        (void)snprintf(ret, SANDBOX_TEXT_MAX, "seccomp (no Landlock in this kernel)");
    return 0;
}
