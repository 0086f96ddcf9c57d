/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/talk.h: one request to hearthd as a command needs it: progress on the terminal, Ctrl-C cancels, the outcome becomes
 * an exit code and a sentence.
 *
 *     talk_begin(&c, on_event, context);
 *     r = hearth_status(c.client, talk_event, &c, &id);
 *     return talk_finish(&c, r, id);
 */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include "cli/args.h"
#include "cli/progress.h"
#include "hearth.h"

/* Exit codes of hearthctl, documented in hearthctl(1). */
enum talk_exit {
    TALK_OK = 0,
    TALK_FAILED = 1,        /* refused, or it went wrong */
    TALK_USAGE = 2,         /* the command line makes no sense */
    TALK_UNREACHABLE = 3,   /* no hearthd there, or the connection to it was lost */
    TALK_LATER = 4,         /* refused for now: the same request may succeed later */
    TALK_INTERRUPTED = 130, /* Ctrl-C; 128 + SIGINT, as shells count */
};

/* How a request ended. Texts are copies, cut if they are too long. */
struct talk_end {
    int code; /* 0, enum hearth_code, or -errno when it could not be sent */
    char message[1024];
    bool retry;
    uint32_t retry_after_ms;
    enum hearth_finish finish;
    bool has_usage;
    struct hearth_usage usage;
    char level[80], level_reason[200], model[80];
};

struct talk {
    struct hearth_client *client; /* owned */
    bool json;                    /* errors also go to stdout, as an object */
    bool silent;                  /* talk_finish() says nothing; the caller does */
    int timeout_ms;               /* -1: wait for ever */
    struct progress progress;
    bool wants_progress;
    hearth_event_fn fn;
    void *context;
    bool ended, interrupted;
    struct talk_end end;
    int signal_fd; /* signalfd(2): SIGINT and SIGTERM while it is open */
    sigset_t signals_before;
};

/**
 * talk_open() - a client for the socket of @a; from here to talk_close() Ctrl-C comes through signal_fd
 * Nothing is sent yet. Return: TALK_OK, TALK_FAILED, TALK_USAGE (the path is too long); said on stderr.
 */
int talk_open(struct talk *c, const struct args *a);

/** talk_close() - release it, hang up; as made of { 0 } is fine. */
void talk_close(struct talk *c);
/** talk_closep() - talk_close() for CLEANUP. */
void talk_closep(struct talk *c);

/** talk_begin() - before each request. @fn: sees each event after talk_event() did; may be NULL. */
void talk_begin(struct talk *c, hearth_event_fn fn, void *context);

/** talk_event() - a hearth_event_fn; its context is the struct talk. */
void talk_event(void *context, const struct hearth_event *e);

/**
 * talk_finish() - wait for the end of the request that was just sent, and say what went wrong, if anything
 * @r: what the function of hearth.h returned. @id: of the request.
 * The first Ctrl-C cancels the request and waits for its end; a second one does not wait.
 * Return: enum talk_exit.
 */
int talk_finish(struct talk *c, int r, uint64_t id);

/** talk_interrupted() - was Ctrl-C pressed (or SIGTERM sent) since the last question? Does not wait. */
bool talk_interrupted(struct talk *c);

/** talk_exit_code() - of an END's code, or of a negative return of hearth.h. Return: enum talk_exit, not TALK_INTERRUPTED. */
int talk_exit_code(int code, bool retry);

/** talk_error_name() - "BUSY"; "UNREACHABLE" or "FAILED" for negative codes; static. */
const char *talk_error_name(int code);
