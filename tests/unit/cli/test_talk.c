/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include "cli/talk.h"

Test(talk, exit_codes_say_what_to_do_next)
{
    cr_assert_eq(talk_exit_code(0, false), TALK_OK);
    cr_assert_eq(talk_exit_code(HEARTH_E_DENIED, false), TALK_FAILED);
    cr_assert_eq(talk_exit_code(HEARTH_E_INTERNAL, false), TALK_FAILED);
    cr_assert_eq(talk_exit_code(HEARTH_E_NO_MODEL, true), TALK_LATER,
                 "hearthd says that it may pass");
    cr_assert_eq(talk_exit_code(HEARTH_E_BUSY, false), TALK_LATER);
    cr_assert_eq(talk_exit_code(HEARTH_E_QUOTA, false), TALK_LATER);
    cr_assert_eq(talk_exit_code(HEARTH_E_DEADLINE, false), TALK_LATER);
    cr_assert_eq(talk_exit_code(HEARTH_E_DISCONNECTED, false), TALK_UNREACHABLE);
    cr_assert_eq(talk_exit_code(-ENOENT, false), TALK_UNREACHABLE);
    cr_assert_eq(talk_exit_code(-EACCES, false), TALK_UNREACHABLE);
    cr_assert_eq(talk_exit_code(-ETIMEDOUT, false), TALK_UNREACHABLE);
    cr_assert_eq(talk_exit_code(-ENOMEM, false), TALK_FAILED);
}

Test(talk, errors_have_names_for_programs)
{
    cr_assert_str_eq(talk_error_name(HEARTH_E_BUSY), "BUSY");
    cr_assert_str_eq(talk_error_name(-ECONNREFUSED), "UNREACHABLE");
    cr_assert_str_eq(talk_error_name(-ENOMEM), "FAILED");
}

Test(talk, an_end_is_copied_because_its_memory_goes)
{
    struct talk t = { 0 };
    char level[] = "best";
    const struct hearth_usage usage = { .output_tokens = 5 };
    const struct hearth_event e = { .type = HEARTH_EVENT_END,
                                    .code = HEARTH_E_BUSY,
                                    .message = "full",
                                    .retry = 1,
                                    .retry_after_ms = 9,
                                    .usage = &usage,
                                    .level = level };

    talk_begin(&t, NULL, NULL);
    talk_event(&t, &e);
    level[0] = 'X';
    cr_assert(t.ended && t.end.has_usage && t.end.retry);
    cr_assert_eq(t.end.code, HEARTH_E_BUSY);
    cr_assert_str_eq(t.end.message, "full");
    cr_assert_str_eq(t.end.level, "best");
    cr_assert_str_eq(t.end.model, "");
    cr_assert_eq(t.end.usage.output_tokens, 5);
    talk_begin(&t, NULL, NULL);
    cr_assert_not(t.ended, "the next request begins afresh");
    cr_assert_eq(t.end.code, 0);
}

Test(talk, ctrl_c_is_seen_once_and_kills_nobody_while_open)
{
    const struct args a = { .socket = "/nonexistent/hearth.sock" };
    struct talk t;

    cr_assert_eq(talk_open(&t, &a), TALK_OK);
    cr_assert_not(talk_interrupted(&t));
    cr_assert_eq(raise(SIGINT), 0);
    cr_assert(talk_interrupted(&t));
    cr_assert_not(talk_interrupted(&t));
    cr_assert_eq(raise(SIGINT), 0);
    talk_close(&t); /* the pending signal is dropped, not delivered */
    talk_close(&t);
}
