/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "cli/doctor.h"

static char root[] = "/tmp/hearth-doctor-XXXXXX"; /* each test runs in a process of its own */

static void make_root(void)
{
    cr_assert(mkdtemp(root));
}

/* Make the folder of @path below the root, and an empty file there. */
static void make_file(const char *path)
{
    char full[512];

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(full, 0700);
        *slash = '/';
    }
    const int fd = open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    (void)close(fd);
}

/* Tests leave a few empty files behind only if they fail. */
static void remove_root(void)
{
    static const char *const files[] = { "/proc/pressure/memory",
                                         "/dev/snd/pcmC0D0c",
                                         "/dev/snd/pcmC0D0p",
                                         "/dev/dri/renderD128",
                                         "/dev/accel/accel0",
                                         "/s",
                                         "/proc/pressure",
                                         "/proc",
                                         "/dev/snd",
                                         "/dev/dri",
                                         "/dev/accel",
                                         "/dev",
                                         "/var/lib",
                                         "/var",
                                         "" };
    char full[512];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(full, sizeof(full), "%s%s", root, files[i]);
        (void)remove(full);
    }
}

Test(doctor, knows_cpus_of_both_families)
{
    struct doctor_finding f;

    doctor_cpu(
        "processor\t: 0\nmodel name\t: Fast CPU\nflags\t\t: fpu avx avx2 avx512bw avx512_vnni\n",
        &f);
    cr_assert_eq(f.level, DOCTOR_OK);
    cr_assert_str_eq(f.text, "Fast CPU (AVX-512 VNNI, AVX-512, AVX2)");
    doctor_cpu("processor\t: 0\nFeatures\t: fp asimd asimddp\nModel\t\t: Raspberry Pi 5\n", &f);
    cr_assert_eq(f.level, DOCTOR_OK);
    cr_assert_str_eq(f.text, "Raspberry Pi 5 (NEON dot product, NEON)");
    doctor_cpu("Features\t: fp asimd asimddp i8mm bf16\nModel\t\t: A board\n", &f);
    cr_assert_str_eq(f.text, "A board (NEON I8MM, NEON dot product, NEON)");
}

Test(doctor, warns_of_cpus_that_will_be_slow)
{
    struct doctor_finding f;

    doctor_cpu("model name\t: Old CPU\nflags\t\t: fpu sse2 avx\n", &f);
    cr_assert_eq(f.level, DOCTOR_WARN, "avx is not avx2");
    cr_assert(strstr(f.help, "plain kernels"));
    doctor_cpu("", &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    cr_assert(f.help[0]);
}

Test(doctor, compares_memory_with_what_a_model_needs)
{
    struct doctor_finding f;

    doctor_memory("MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n", 2700000000, &f);
    cr_assert_eq(f.level, DOCTOR_OK);
    cr_assert_str_eq(f.text, "6.1 GB of 8.2 GB available");
    doctor_memory("MemTotal: 8000000 kB\nMemAvailable: 2000000 kB\n", 2700000000, &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    cr_assert(strstr(f.help, "2.7 GB"));
    doctor_memory("MemTotal: 900000 kB\nMemAvailable: 700000 kB\n", 0, &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    doctor_memory("MemTotal: 400000 kB\nMemAvailable: 100000 kB\n", 0, &f);
    cr_assert_eq(f.level, DOCTOR_FAIL);
    doctor_memory("", 0, &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
}

Test(doctor, measures_how_fast_memory_is_read)
{
    struct doctor_finding f;

    for (uint32_t threads = 0; threads <= 2; threads++) {
        unsigned said = 0;
        double gb_s = 0, tokens_s = 0;
        doctor_speed(threads, &f);
        cr_assert_eq(
            sscanf(
                f.text,
                "%u threads read %lf GB/s of memory: Gemma 3n E2B in 4 bits can make %lf tokens/s",
                &said, &gb_s, &tokens_s),
            3, "%s", f.text);
        cr_assert_eq(said, threads ? threads : 1);
        cr_assert_gt(gb_s, 0);
        cr_assert_float_eq(tokens_s, gb_s / 1.57, 1);
        cr_assert_eq(f.level, f.help[0] ? DOCTOR_WARN : DOCTOR_OK);
    }
}

Test(doctor, looks_for_a_socket, .init = make_root, .fini = remove_root)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct doctor_finding f;

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", root);
    doctor_socket(a.sun_path, &f);
    cr_assert_eq(f.level, DOCTOR_FAIL);
    cr_assert(strstr(f.help, "systemctl start hearthd.socket"));
    make_file("/s");
    doctor_socket(a.sun_path, &f);
    cr_assert_eq(f.level, DOCTOR_FAIL);
    cr_assert(strstr(f.text, "is no socket"));
    cr_assert_eq(unlink(a.sun_path), 0);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
    doctor_socket(a.sun_path, &f);
    cr_assert_eq(f.level, DOCTOR_OK);
    (void)close(fd);
}

Test(doctor, says_how_to_join_the_group_of_a_socket_that_is_closed_to_us, .init = make_root,
     .fini = remove_root)
{
    const uid_t nobody = 65534;
    const bool is_root = geteuid() == 0; /* root may open everything: be nobody for a moment */
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct doctor_finding f;

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", root);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(chmod(a.sun_path, 0060), 0);
    cr_assert_eq(chmod(root, 0755), 0);
    if (is_root) {
        cr_assert_eq(setgroups(0, NULL), 0);
        cr_assert_eq(setresgid(nobody, nobody, 0), 0);
        cr_assert_eq(setresuid(nobody, nobody, 0), 0);
    }
    doctor_socket(a.sun_path, &f);
    if (is_root) {
        cr_assert_eq(setresuid(0, 0, 0), 0);
        cr_assert_eq(setresgid(0, 0, 0), 0);
    }
    cr_assert_eq(f.level, DOCTOR_FAIL);
    cr_assert(strstr(f.text, "you may not connect"), "%s", f.text);
    cr_assert(strstr(f.help, "group"), "%s", f.help);
    (void)close(fd);
}

Test(doctor, compares_versions)
{
    struct doctor_finding f;

    doctor_version("0.0.0-other", &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    cr_assert(strstr(f.help, "restart hearthd"));
}

Test(doctor, tells_the_states_of_a_model)
{
    const struct hearth_model m = { .name = "gemma", .active = 1, .loaded = 1 };
    struct hearth_status s = { .state = HEARTH_STATE_NO_MODEL };
    struct doctor_finding f;

    doctor_model(&s, &f);
    cr_assert_eq(f.level, DOCTOR_FAIL);
    cr_assert(strstr(f.help, "model add"));
    s.model = &m;
    s.state = HEARTH_STATE_READY;
    doctor_model(&s, &f);
    cr_assert_eq(f.level, DOCTOR_OK);
    s.state = HEARTH_STATE_LOADING;
    doctor_model(&s, &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    s.state = HEARTH_STATE_UNLOADED;
    s.last_error = "no memory for it";
    doctor_model(&s, &f);
    cr_assert_eq(f.level, DOCTOR_FAIL);
    cr_assert_str_eq(f.help, "no memory for it");
}

Test(doctor, warns_of_a_worker_without_sandbox_or_with_crashes)
{
    struct hearth_status s = { .state = HEARTH_STATE_READY,
                               .sandbox = "seccomp, landlock 3",
                               .kernels = "avx2" };
    struct doctor_finding f;

    doctor_worker(&s, &f);
    cr_assert_eq(f.level, DOCTOR_OK);
    s.worker_restarts = 3;
    doctor_worker(&s, &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    cr_assert(strstr(f.help, "crashed 3 times"));
    s.sandbox = "none";
    doctor_worker(&s, &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    cr_assert(strstr(f.help, "seccomp"));
    s = (struct hearth_status){ .state = HEARTH_STATE_UNLOADED };
    doctor_worker(&s, &f);
    cr_assert_eq(f.level, DOCTOR_OK, "there is no worker to confine yet");
}

Test(doctor, looks_at_devices_below_its_root, .init = make_root, .fini = remove_root)
{
    struct doctor_finding f;

    doctor_sound(root, &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    doctor_accelerator(root, &f);
    cr_assert(strstr(f.text, "none"));
    doctor_pressure(root, &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
    make_file("/dev/snd/pcmC0D0c");
    make_file("/dev/snd/pcmC0D0p");
    make_file("/dev/dri/renderD128");
    make_file("/dev/accel/accel0");
    make_file("/proc/pressure/memory");
    doctor_sound(root, &f);
    cr_assert_eq(f.level, DOCTOR_OK);
    cr_assert_str_eq(f.text, "1 microphone inputs, 1 loudspeaker outputs");
    doctor_accelerator(root, &f);
    cr_assert(strstr(f.text, "1 GPUs, 1 NPUs"));
    doctor_pressure(root, &f);
    cr_assert_eq(f.level, DOCTOR_OK);
}

Test(doctor, looks_at_the_disk_above_a_store_that_is_not_there, .init = make_root,
     .fini = remove_root)
{
    struct doctor_finding f;

    doctor_disk(root, "/var/lib/hearth/models", &f);
    cr_assert(strstr(f.text, "free for models at"), "%s", f.text);
    cr_assert(strstr(f.text, root));
    doctor_disk("/nonexistent/root", "/models", &f);
    cr_assert_eq(f.level, DOCTOR_WARN);
}
