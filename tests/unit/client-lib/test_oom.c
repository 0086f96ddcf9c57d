/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way of a request with each allocation of the library failing once. Links the library's objects. */
#include <criterion/criterion.h>
#include <errno.h>
#include <hearth.h>
#include <string.h>
#include "tests/unit/client-lib/fake_server.h"
#include "tests/unit/oom.h"

TestSuite(client_memory, .timeout = 120);

static int build(struct hearth_request **ret)
{
    static const char text[300];
    struct hearth_request *q = NULL;
    int r = hearth_request_new(&q);

    if (r == 0) r = hearth_request_message(q, HEARTH_ROLE_USER);
    for (int i = 0; r == 0 && i < 6; i++) {
        r = hearth_request_text(q, text, sizeof(text));
        if (r == 0) r = hearth_request_image(q, text, sizeof(text));
    }
    if (r == 0) r = hearth_request_tool(q, "{}", 2);
    if (r == 0) r = hearth_request_stop(q, "x", 1);
    if (r < 0) q = hearth_request_free(q);
    *ret = q;
    return r;
}

Test(client_memory, a_request_is_built_or_refused)
{
    OOM_OR_SKIP();
    struct hearth_request *q = NULL;
    unsigned n = 1;

    for (;; n++) {
        oom_fail_at(n);
        int r = build(&q);
        const bool failed = oom_happened();
        oom_fail_at(0);
        cr_assert_eq(r, failed ? -ENOMEM : 0, "allocation %u", n);
        if (!failed) break;
    }
    cr_assert(n > 10);
    q = hearth_request_free(q);
}

static void answer(struct fake_server *s, uint64_t id)
{
    Hearth__Status status = HEARTH__STATUS__INIT;
    Hearth__Model model = HEARTH__MODEL__INIT;
    Hearth__Reply reply = HEARTH__REPLY__INIT;

    fake_server_token(s, id, "text");
    status.id = id;
    status.model = &model;
    fake_server_send(s, HEARTH__SERVER_FRAME__BODY_STATUS_EVENT, &status.base);
    reply.id = id;
    reply.body_case = HEARTH__REPLY__BODY_MODEL;
    reply.model = &model;
    fake_server_send(s, HEARTH__SERVER_FRAME__BODY_REPLY, &reply.base);
}

/* One exchange; @n: the allocation that fails, in sending if @sending, else in receiving. Whether one failed. */
static bool exchange(const struct hearth_request *q, unsigned n, bool sending)
{
    struct fake_server server;
    struct hearth_client *c = NULL;
    struct seen seen = { { 0 } };
    uint64_t id = 0;
    bool failed;

    fake_server_start(&server);
    if (sending) oom_fail_at(n);
    int r = hearth_client_new(server.path, &c);
    if (r == 0) r = hearth_generate(c, q, fake_server_see, &seen, &id);
    failed = oom_happened();
    oom_fail_at(0);
    cr_assert_eq(r, failed ? -ENOMEM : 0, "allocation %u: %d", n, r);
    if (r == 0) {
        fake_server_welcome(&server);
        answer(&server, id);
        if (!sending) oom_fail_at(n);
        r = hearth_client_process(c);
        failed = oom_happened();
        oom_fail_at(0);
        cr_assert_eq(seen.n[HEARTH_EVENT_END], 1, "it has ended in any case");
        if (failed)
            cr_assert(r == -ENOMEM || seen.code == HEARTH_E_PROTOCOL, "%d %d", r, seen.code);
        else
            cr_assert(r == 0 && seen.code == 0);
    }
    c = hearth_client_free(c);
    fake_server_stop(&server);
    return failed;
}

Test(client_memory, an_exchange_works_or_ends_and_leaks_nothing)
{
    OOM_OR_SKIP();
    struct hearth_request *q = NULL;
    unsigned n = 1;

    cr_assert_eq(build(&q), 0);
    while (exchange(q, n, true))
        n++;
    cr_assert(n > 3);
    for (n = 1; exchange(q, n, false); n++)
        ;
    cr_assert(n > 8);
    q = hearth_request_free(q);
}
