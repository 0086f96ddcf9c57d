/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C is blocked while hearthctl talks to hearthd (talk.h) and arrives through a descriptor, so the editor gets its
 * characters from a function of ours that watches both.
 */
#include "cli/line.h"
#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <wchar.h>
#include "base/err.h"

enum { HISTORY_MAX = 1000, READ_STEP = 1 << 14 };

/* Wait until standard input has something. Return: 0, LINE_E_INTERRUPT, -errno. */
static int wait_input(const struct line *l)
{
    struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                           { .fd = l->signal_fd, .events = POLLIN } };
    struct signalfd_siginfo info;

    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR) return err_raise(-errno);
        if (p[1].revents & POLLIN && read(l->signal_fd, &info, sizeof(info)) > 0)
            return LINE_E_INTERRUPT;
        if (p[0].revents) return 0;
    }
}

/* One character for libedit. Return: 1 and @ret, 0 at the end, -1. */
static int next_character(EditLine *el, wchar_t *ret)
{
    struct line *l = NULL;
    mbstate_t shift = { 0 };
    char byte;

    (void)el_get(el, EL_CLIENTDATA, &l);
    for (;;) {
        if (wait_input(l) != 0) {
            l->interrupted = true;
            return -1;
        }
        const ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return (int)n;
        const size_t used = mbrtowc(ret, &byte, 1, &shift);
        if (used == (size_t)-1) shift = (mbstate_t){ 0 }; /* no character: dropped */
        if (used != (size_t)-1 && used != (size_t)-2) return 1;
    }
}

static char *prompt_of(EditLine *el)
{
    static char text[32];
    struct line *l = NULL;

    (void)el_get(el, EL_CLIENTDATA, &l);
    (void)snprintf(text, sizeof(text), "%s", l->prompt);
    return text;
}

int line_init(struct line *l, int signal_fd, bool edit)
{
    HistEvent event;

    *l = (struct line){ .signal_fd = signal_fd, .prompt = "" };
    buf_init(&l->rest, LINE_MAX_BYTES + READ_STEP);
    if (!edit) return 0;
    l->history = history_init();
    l->editor = el_init("hearthctl", stdin, stdout, stderr);
    if (!l->history || !l->editor) {
        line_deinit(l);
        return err_raise(-ENOMEM);
    }
    (void)history(l->history, &event, H_SETSIZE, HISTORY_MAX);
    (void)history(l->history, &event, H_SETUNIQUE, 1);
    (void)el_set(l->editor, EL_CLIENTDATA, l);
    (void)el_set(l->editor, EL_PROMPT, prompt_of);
    (void)el_set(l->editor, EL_EDITOR, "emacs");
    (void)el_set(l->editor, EL_HIST, history, l->history);
    (void)el_set(l->editor, EL_GETCFN, next_character);
    (void)el_set(l->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(l->editor, NULL); /* the person's own ~/.editrc, if there is one */
    return 0;
}

void line_deinit(struct line *l)
{
    line_quiet(l, false);
    if (l->editor) el_end(l->editor);
    if (l->history) history_end(l->history);
    l->editor = l->history = NULL;
    buf_deinit(&l->rest);
}

static int read_edited(struct line *l, const char **ret, size_t *ret_n)
{
    int n = 0;

    l->interrupted = false;
    const char *const text = el_gets(l->editor, &n);
    if (l->interrupted) {
        (void)fputs("^C\n", stdout);
        el_reset(l->editor);
        return LINE_E_INTERRUPT;
    }
    if (!text || n <= 0) return LINE_E_END;
    l->taken = (size_t)n;
    buf_deinit(&l->rest);
    const size_t size = (size_t)n - (text[n - 1] == '\n');
    if (size > LINE_MAX_BYTES) return LINE_E_LONG;
    const int r = buf_append(&l->rest, text, size);
    if (r != 0 || buf_append(&l->rest, "", 1) != 0) return err_raise(-ENOMEM);
    *ret = (const char *)buf_front(&l->rest);
    *ret_n = size;
    return 0;
}

static int read_piped(struct line *l, const char **ret, size_t *ret_n)
{
    uint8_t *place, *end;

    buf_consume(&l->rest, l->taken);
    l->taken = 0;
    for (;;) {
        end = l->rest.n ? memchr(buf_front(&l->rest), '\n', l->rest.n) : NULL;
        if (end || (l->at_end && l->rest.n > 0)) break;
        if (l->at_end) return LINE_E_END;
        if (l->rest.n > LINE_MAX_BYTES) return LINE_E_LONG;
        int r = wait_input(l);
        if (r != 0) return r < 0 ? err_pass(r) : r;
        r = buf_reserve(&l->rest, READ_STEP, &place);
        if (r != 0) return r < 0 ? err_pass(r) : LINE_E_LONG;
        const ssize_t n = read(STDIN_FILENO, place, READ_STEP);
        if (n < 0 && errno != EINTR) return err_raise(-errno);
        if (n == 0) l->at_end = true;
        if (n > 0) buf_commit(&l->rest, (size_t)n);
    }
    if (!end) { /* the last line has no line feed; it gets one, which becomes the NUL */
        const int r = buf_append(&l->rest, "\n", 1);
        if (r != 0) return r < 0 ? err_pass(r) : LINE_E_LONG;
        end = buf_front(&l->rest) + l->rest.n - 1;
    }
    *end = '\0';
    *ret_n = (size_t)(end - buf_front(&l->rest));
    *ret = (const char *)buf_front(&l->rest);
    l->taken = *ret_n + 1;
    return 0;
}

int line_read(struct line *l, const char *prompt, const char **ret, size_t *ret_n)
{
    l->prompt = prompt;
    return l->editor ? read_edited(l, ret, ret_n) : read_piped(l, ret, ret_n);
}

void line_quiet(struct line *l, bool quiet)
{
    struct termios silent;

    if (!l->editor || quiet == l->is_quiet) return;
    if (quiet && tcgetattr(STDIN_FILENO, &l->before) != 0) return;
    silent = l->before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(STDIN_FILENO, TCSANOW, quiet ? &silent : &l->before) == 0) l->is_quiet = quiet;
}

void line_remember(struct line *l, const char *text)
{
    HistEvent event;

    if (l->history && *text) (void)history(l->history, &event, H_ENTER, text);
}
