/* SPDX-License-Identifier: Apache-2.0 */
/* hearthd: reads its command line and configuration, and serves. See hearthd(8). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/server.h"
#include "proto/build_id.h"

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 }; /* sysexits.h: EX_CONFIG, which systemd names too */

static const char help[] =
    "usage: hearthd [--config FILE] [--private] [--socket PATH] [--check-config]\n"
    "\n"
    "The assistant that the programs of this machine share: owns the model and answers on a Unix "
    "socket.\n"
    "Usually systemd starts it (hearthd.service); people talk to it with hearthctl.\n"
    "\n"
    "  --config FILE    read FILE and FILE.d/*.conf (default /etc/hearth/hearthd.conf if it "
    "exists)\n"
    "  --private        an instance of this user: socket in $XDG_RUNTIME_DIR/hearth, models in\n"
    "                   $XDG_DATA_HOME/hearth/models; reads no file but that of --config\n"
    "  --socket PATH    listen there\n"
    "  --check-config   read the configuration, say what is wrong with it, and end\n"
    "  --version, --help\n"
    "\n"
    "Signals: SIGHUP reads the configuration again; SIGTERM finishes what runs and ends, a second "
    "one at once.\n"
    "Exit status: 0 stopped, 1 cannot serve, 2 wrong usage, 78 the configuration is wrong.\n";

struct options {
    const char *config, *socket;
    bool private_instance, check;
};

/* Return: -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        { "config", required_argument, NULL, 'c' },
        { "private", no_argument, NULL, 'p' },
        { "socket", required_argument, NULL, 's' },
        { "check-config", no_argument, NULL, 'k' },
        { "version", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1)
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 'p':
            o->private_instance = true;
            break;
        case 's':
            o->socket = optarg;
            break;
        case 'k':
            o->check = true;
            break;
        case 'v':
            (void)printf("hearthd %s\n", PROTO_VERSION);
            return 0;
        case 'h':
            (void)fputs(help, stdout);
            return 0;
        default:
            (void)fputs("Try `hearthd --help`.\n", stderr);
            return EXIT_USAGE;
        }
    if (optind == argc) return -1;
    (void)fprintf(stderr, "hearthd: '%s' is no option\nTry `hearthd --help`.\n", argv[optind]);
    return EXIT_USAGE;
}

static int load(const struct options *o, struct conf *ret)
{
    const char *path = o->config ? o->config : o->private_instance ? NULL : CONF_PATH;
    struct reason why = { "" };
    const int r = conf_load(path, o->config != NULL, o->private_instance, &why, ret);

    if (r != 0) {
        (void)fprintf(stderr, "hearthd: %s\n", r > 0 ? why.text : strerror(-r));
        return EXIT_CONFIG;
    }
    if (!o->socket) return -1;
    if (o->socket[0] != '/' || strlen(o->socket) >= sizeof(ret->socket)) {
        (void)fprintf(stderr,
                      "hearthd: --socket: the path must begin with / and have at most %zu bytes\n",
                      sizeof(ret->socket) - 1);
        return EXIT_USAGE;
    }
    (void)snprintf(ret->socket, sizeof(ret->socket), "%s", o->socket);
    return -1;
}

static int serve(const struct options *o, const struct conf *conf)
{
    struct reason why = { "" };
    struct server *s = NULL;
    int r = server_new(conf,
                       o->config             ? o->config
                       : o->private_instance ? NULL
                                             : CONF_PATH,
                       o->config != NULL, o->private_instance, &why, &s);

    if (r != 0) {
        log_err("hearthd cannot serve", "why=\"%s\"",
                why.text[0] ? why.text : strerror(r < 0 ? -r : 1));
        return 1;
    }
    r = server_run(s);
    server_free(s);
    log_notice("hearthd stopped", "status=%d", r);
    return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options o = { 0 };
    struct conf *conf = calloc(1, sizeof(*conf));
    int status = conf ? parse(argc, argv, &o) : 1;

    log_set_plain(isatty(STDERR_FILENO));
    if (status == -1) status = load(&o, conf);
    if (status == -1 && o.check) {
        (void)printf("hearthd: the configuration is good\n");
        status = 0;
    }
    if (status == -1) status = serve(&o, conf);
    free(conf);
    return status;
}
