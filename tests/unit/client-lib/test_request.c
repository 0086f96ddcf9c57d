/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <hearth.h>
#include <string.h>

static struct hearth_request *q;

static void start(void)
{
    cr_assert_eq(hearth_request_new(&q), 0);
}

static void stop(void)
{
    q = hearth_request_free(q);
}

TestSuite(request, .init = start, .fini = stop);

Test(request, needs_a_message_before_its_parts)
{
    const int16_t pcm[1] = { 0 };

    cr_assert_eq(hearth_request_text(q, "x", 1), -EINVAL);
    cr_assert_eq(hearth_request_image(q, "x", 1), -EINVAL);
    cr_assert_eq(hearth_request_audio(q, pcm, 1, 16000), -EINVAL);
    cr_assert_eq(hearth_request_video_frame(q, "x", 1, 0), -EINVAL);
    cr_assert_eq(hearth_request_message(q, HEARTH_ROLE_TOOL), 0);
    cr_assert_eq(hearth_request_text(q, "x", 1), 0);
}

Test(request, calls_are_the_models)
{
    cr_assert_eq(hearth_request_call(q, "{}", 2), -EINVAL);
    cr_assert_eq(hearth_request_message(q, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_call(q, "{}", 2), -EINVAL);
    cr_assert_eq(hearth_request_message(q, HEARTH_ROLE_MODEL), 0);
    cr_assert_eq(hearth_request_call(q, "", 0), -EINVAL);
    cr_assert_eq(hearth_request_call(q, NULL, 2), -EINVAL);
    cr_assert_eq(hearth_request_call(q, "{}", 2), 0);
}

Test(request, takes_known_roles_and_data_that_is_there)
{
    cr_assert_eq(hearth_request_message(q, (enum hearth_role)4), -EINVAL);
    cr_assert_eq(hearth_request_message(q, (enum hearth_role) - 1), -EINVAL);
    cr_assert_eq(hearth_request_message(q, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_text(q, NULL, 1), -EINVAL);
    cr_assert_eq(hearth_request_text(q, NULL, 0), 0, "nothing");
    cr_assert_eq(hearth_request_text(q, NULL, HEARTH_TEXT_SIZE), -EINVAL);
    cr_assert_eq(hearth_request_image(q, NULL, 5), -EINVAL);
    cr_assert_eq(hearth_request_tool(q, "", 0), -EINVAL);
    cr_assert_eq(hearth_request_tool(q, NULL, 3), -EINVAL);
}

Test(request, has_at_most_1024_messages_and_4096_parts)
{
    for (int i = 0; i < 1024; i++)
        cr_assert_eq(hearth_request_message(q, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_message(q, HEARTH_ROLE_USER), -E2BIG);
    for (int i = 0; i < 4096; i++)
        cr_assert_eq(hearth_request_image(q, "x", 1), 0);
    cr_assert_eq(hearth_request_image(q, "x", 1), -E2BIG);
    cr_assert_eq(hearth_request_text(q, "x", 1), -E2BIG);
}

Test(request, has_at_most_256_tools_and_8_stops)
{
    char stop_text[65];

    for (int i = 0; i < 256; i++)
        cr_assert_eq(hearth_request_tool(q, "{}", 2), 0);
    cr_assert_eq(hearth_request_tool(q, "{}", 2), -E2BIG);
    memset(stop_text, 's', sizeof(stop_text));
    cr_assert_eq(hearth_request_stop(q, stop_text, 65), -EINVAL);
    cr_assert_eq(hearth_request_stop(q, "", 0), -EINVAL);
    cr_assert_eq(hearth_request_stop(q, NULL, 1), -EINVAL);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(hearth_request_stop(q, stop_text, 64), 0);
    cr_assert_eq(hearth_request_stop(q, stop_text, 1), -E2BIG);
}

Test(request, refuses_sizes_that_no_memory_has)
{
    const int16_t pcm[1] = { 0 };

    cr_assert_eq(hearth_request_message(q, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_image(q, "x", SIZE_MAX), -E2BIG);
    cr_assert_eq(hearth_request_image(q, "x", (512 << 20) + 1), -E2BIG);
    cr_assert_eq(hearth_request_audio(q, pcm, SIZE_MAX / 2 + 2, 16000), -E2BIG);
}

Test(request, takes_names_of_at_most_64_bytes)
{
    char name[66];

    memset(name, 'n', sizeof(name));
    name[65] = '\0';
    cr_assert_eq(hearth_request_set_level(q, name), -EINVAL);
    cr_assert_eq(hearth_request_set_conversation(q, name), -EINVAL);
    name[64] = '\0';
    cr_assert_eq(hearth_request_set_level(q, name), 0);
    cr_assert_eq(hearth_request_set_conversation(q, name), 0);
    cr_assert_eq(hearth_request_set_conversation(q, NULL), 0);
}

Test(request, may_be_nothing_when_it_is_freed)
{
    cr_assert_null(hearth_request_free(NULL));
}
