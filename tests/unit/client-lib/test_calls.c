/* SPDX-License-Identifier: Apache-2.0 */
/* What each call sends. Expected values are written out: the wire is a promise. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <hearth.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/unit/client-lib/fake_server.h"

static struct fake_server server;
static struct hearth_client *client;
static struct hearth_request *request;
static struct seen seen;
static uint64_t id;

static void start(void)
{
    fake_server_start(&server);
    cr_assert_eq(hearth_client_new(server.path, &client), 0);
    server.pumped = client;
    cr_assert_eq(hearth_request_new(&request), 0);
}

static void stop(void)
{
    request = hearth_request_free(request);
    client = hearth_client_free(client);
    fake_server_stop(&server);
}

TestSuite(calls, .init = start, .fini = stop, .timeout = 60);

/* The frame that a call sent, which returned @r. */
static const Hearth__ClientFrame *sent(Hearth__ClientFrame__BodyCase kind, int r)
{
    cr_assert_eq(r, 0, "%s", hearth_client_error(client));
    if (!server.connected) fake_server_welcome(&server);
    return fake_server_receive(&server, kind);
}

/* The message that @call sent. */
#define SENT(KIND, member, call) sent(HEARTH__CLIENT_FRAME__BODY_##KIND, (call))->member

#define SEE fake_server_see, &seen, &id

Test(calls, send_their_arguments)
{
    const Hearth__Tokenize *t =
        SENT(TOKENIZE, tokenize, hearth_tokenize(client, "a\0b", 3, 1, 0, SEE));
    cr_assert(t->id == id && t->text.len == 3 && t->parse_special && !t->count_only);
    t = SENT(TOKENIZE, tokenize, hearth_tokenize(client, "four", HEARTH_TEXT_SIZE, 0, 5, SEE));
    cr_assert(t->id == id && t->text.len == 4 && !t->parse_special && t->count_only);
    cr_assert_eq(SENT(STATUS, status, hearth_status(client, SEE))->id, id);
    cr_assert_eq(SENT(SUBSCRIBE, subscribe, hearth_subscribe(client, 250, SEE))->interval_ms, 250u);
    cr_assert_eq(server.frame->subscribe->id, id);
    cr_assert_eq(SENT(METRICS, metrics, hearth_metrics(client, SEE))->id, id);
    cr_assert_eq(SENT(REQUEST_LIST, request_list, hearth_requests(client, SEE))->id, id);
    cr_assert_eq(SENT(REQUEST_KILL, request_kill, hearth_request_kill(client, 99, SEE))->request,
                 99u);
    cr_assert_eq(server.frame->request_kill->id, id);
    cr_assert_eq(SENT(MODEL_LIST, model_list, hearth_models(client, SEE))->id, id);
    cr_assert_eq(SENT(DRAIN, drain, hearth_drain(client, SEE))->id, id);
    cr_assert_eq(SENT(MODEL_UNLOAD, model_unload, hearth_model_unload(client, SEE))->id, id);
    cr_assert_str_eq(SENT(SET_LEVEL, set_level, hearth_set_level(client, "fast", SEE))->level,
                     "fast");
    cr_assert_eq(server.frame->set_level->id, id);
    cr_assert_eq(id, 11u, "each has its own");
}

Test(calls, send_names_of_models_and_conversations)
{
    cr_assert_str_eq(SENT(MODEL_LOAD, model_load, hearth_model_load(client, "m", SEE))->name, "m");
    cr_assert_str_eq(SENT(MODEL_LOAD, model_load, hearth_model_load(client, NULL, SEE))->name, "");
    cr_assert_eq(server.frame->model_load->id, id);
    const Hearth__ModelActivate *a =
        SENT(MODEL_ACTIVATE, model_activate, hearth_model_activate(client, "m", "v", SEE));
    cr_assert_str_eq(a->name, "m");
    cr_assert_str_eq(a->version, "v");
    cr_assert_eq(a->id, id);
    const Hearth__ModelRemove *r =
        SENT(MODEL_REMOVE, model_remove, hearth_model_remove(client, "m", NULL, SEE));
    cr_assert_str_eq(r->name, "m");
    cr_assert_str_eq(r->version, "");
    cr_assert_eq(r->id, id);
    cr_assert_str_eq(
        SENT(CONVERSATION_CLOSE, conversation_close, hearth_conversation_close(client, "talk", SEE))
            ->name,
        "talk");
    cr_assert_eq(server.frame->conversation_close->id, id);
}

Test(calls, refuse_what_is_missing_before_they_connect)
{
    cr_assert_eq(hearth_model_activate(client, NULL, NULL, SEE), -EINVAL);
    cr_assert_not_null(strstr(hearth_client_error(client), "model's name"));
    cr_assert_eq(hearth_model_remove(client, "", NULL, SEE), -EINVAL);
    cr_assert_eq(hearth_model_add(client, NULL, 0, NULL, 0, SEE), -EINVAL);
    cr_assert_eq(hearth_set_level(client, NULL, SEE), -EINVAL);
    cr_assert_eq(hearth_conversation_open(client, NULL, NULL, SEE), -EINVAL);
    cr_assert_eq(hearth_conversation_close(client, "", SEE), -EINVAL);
    cr_assert_eq(hearth_tokenize(client, NULL, 3, 0, 0, SEE), -EINVAL);
    cr_assert_eq(id, 0u);
}

Test(calls, give_the_file_of_a_new_model_along)
{
    struct stat mine, theirs;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const Hearth__ModelAdd *m =
        SENT(MODEL_ADD, model_add, hearth_model_add(client, "new", fd, "abc", 1, SEE));

    cr_assert_str_eq(m->name, "new");
    cr_assert_str_eq(m->sha256, "abc");
    cr_assert(m->activate && m->fd_index == 1 && m->id == id);
    cr_assert_eq(server.n_fds, 1u);
    cr_assert_eq(fstat(fd, &mine), 0, "it stays the caller's");
    cr_assert_eq(fstat(server.fds[0], &theirs), 0);
    cr_assert_eq(mine.st_ino, theirs.st_ino);
    (void)close(fd);
    cr_assert_eq(hearth_model_add(client, "new", fd, NULL, 0, SEE), -EBADF);
    cr_assert_not_null(strstr(hearth_client_error(client), "not open"));
}

Test(calls, refuse_what_is_larger_than_a_frame)
{
    static char text[FRAME_BODY_MAX];

    cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 0, SEE), -E2BIG);
    cr_assert_not_null(strstr(hearth_client_error(client), "1048576"));
}

Test(calls, keep_to_a_smaller_frame_if_hearthd_asks_for_it)
{
    static char text[10000];
    Hearth__Welcome w = HEARTH__WELCOME__INIT;

    cr_assert_eq(hearth_status(client, SEE), 0);
    fake_server_accept(&server);
    w.version = 1;
    w.max_frame_bytes = 9000;
    fake_server_send(&server, HEARTH__SERVER_FRAME__BODY_WELCOME, &w.base);
    fake_server_reply(&server, id);
    fake_server_pump(client, &seen, HEARTH_EVENT_END, 1);
    cr_assert_eq(hearth_tokenize(client, text, sizeof(text), 0, 0, SEE), -E2BIG);
    (void)fake_server_receive(&server, HEARTH__CLIENT_FRAME__BODY_STATUS);
    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_text(request, text, sizeof(text)), 0);
    (void)SENT(GENERATE, generate, hearth_generate(client, request, SEE));
    cr_assert_eq(server.n_fds, 1u);
}

/* ---- generation ---- */

static const Hearth__Generate *generate(void)
{
    return SENT(GENERATE, generate, hearth_generate(client, request, SEE));
}

Test(calls, send_an_empty_request_with_the_models_defaults)
{
    const Hearth__Generate *g = generate();

    cr_assert_eq(g->id, id);
    cr_assert(g->n_messages == 0 && g->n_stop == 0 && g->n_tools == 0 && !g->raw);
    cr_assert(g->sampling->has_temperature_case == 0 && g->sampling->has_top_k_case == 0);
    cr_assert(g->sampling->has_top_p_case == 0 && g->sampling->has_min_p_case == 0);
    cr_assert(g->sampling->has_repetition_penalty_case == 0 && g->sampling->has_seed_case == 0);
    cr_assert(g->max_tokens == 0 && g->deadline_ms == 0 && !g->level_may_drop);
    cr_assert_eq(g->request_class, HEARTH__CLASS__CLASS_DEFAULT);
    cr_assert_str_eq(g->level, "");
    cr_assert_str_eq(g->conversation, "");
}

Test(calls, send_all_settings_also_those_that_are_zero)
{
    hearth_request_set_raw(request, 2);
    hearth_request_set_temperature(request, 0);
    hearth_request_set_top_k(request, 0);
    hearth_request_set_top_p(request, 0.25F);
    hearth_request_set_min_p(request, 0);
    hearth_request_set_repetition_penalty(request, 1.5F);
    hearth_request_set_seed(request, 0);
    hearth_request_set_max_tokens(request, 17);
    hearth_request_set_class(request, HEARTH_CLASS_REALTIME);
    hearth_request_set_deadline_ms(request, 900);
    hearth_request_set_level_may_drop(request, 1);
    cr_assert_eq(hearth_request_set_level(request, "balanced"), 0);
    cr_assert_eq(hearth_request_set_conversation(request, "talk"), 0);
    cr_assert_eq(hearth_request_stop(request, "\n", HEARTH_TEXT_SIZE), 0);
    cr_assert_eq(hearth_request_stop(request, "end", 2), 0);
    cr_assert_eq(hearth_request_tool(request, "{}", HEARTH_TEXT_SIZE), 0);
    const Hearth__Generate *g = generate();

    cr_assert(g->raw && g->level_may_drop && g->max_tokens == 17 && g->deadline_ms == 900);
    const Hearth__Sampling *s = g->sampling;
    cr_assert(s->has_temperature_case != 0 && s->temperature == 0);
    cr_assert(s->has_top_k_case != 0 && s->top_k == 0);
    cr_assert(s->has_top_p_case != 0 && s->top_p == 0.25F);
    cr_assert(s->has_min_p_case != 0 && s->min_p == 0);
    cr_assert(s->has_repetition_penalty_case != 0 && s->repetition_penalty == 1.5F);
    cr_assert(s->has_seed_case != 0 && s->seed == 0);
    cr_assert_eq(g->request_class, HEARTH__CLASS__CLASS_REALTIME);
    cr_assert_str_eq(g->level, "balanced");
    cr_assert_str_eq(g->conversation, "talk");
    cr_assert_eq(g->n_stop, 2u);
    cr_assert(g->stop[0].len == 1 && g->stop[0].data[0] == '\n' && g->stop[1].len == 2);
    cr_assert_eq(g->n_tools, 1u);
    cr_assert_eq(g->tools[0]->json.len, 2u);
}

Test(calls, send_messages_and_parts_in_order)
{
    const int16_t pcm[3] = { 1, -2, 300 };

    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_SYSTEM), 0);
    cr_assert_eq(hearth_request_text(request, "Be ", HEARTH_TEXT_SIZE), 0);
    cr_assert_eq(hearth_request_text(request, "brief.", 6), 0);
    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_image(request, "JPEG", 4), 0);
    cr_assert_eq(hearth_request_text(request, "What is it?", HEARTH_TEXT_SIZE), 0);
    cr_assert_eq(hearth_request_audio(request, pcm, 3, 16000), 0);
    cr_assert_eq(hearth_request_video_frame(request, "PNG", 3, 40000), 0);
    const Hearth__Generate *g = generate();

    cr_assert_eq(server.n_fds, 0u);
    cr_assert_eq(g->n_messages, 2u);
    cr_assert_eq(g->messages[0]->role, HEARTH__ROLE__ROLE_SYSTEM);
    cr_assert_eq(g->messages[0]->n_parts, 1u, "texts in a row are one text");
    cr_assert_eq(memcmp(g->messages[0]->parts[0]->text.data, "Be brief.", 9), 0);
    cr_assert_eq(g->messages[1]->role, HEARTH__ROLE__ROLE_USER);
    cr_assert_eq(g->messages[1]->n_parts, 4u);
    Hearth__Part **p = g->messages[1]->parts;
    cr_assert(p[0]->kind_case == HEARTH__PART__KIND_IMAGE && p[0]->image->data.len == 4);
    cr_assert(p[1]->kind_case == HEARTH__PART__KIND_TEXT && p[1]->text.len == 11);
    cr_assert(p[2]->kind_case == HEARTH__PART__KIND_AUDIO && p[2]->audio->rate_hz == 16000);
    cr_assert_eq(p[2]->audio->data.len, 6u);
    cr_assert_eq(memcmp(p[2]->audio->data.data, "\1\0\376\377\54\1", 6), 0, "little-endian");
    cr_assert(p[3]->kind_case == HEARTH__PART__KIND_VIDEO_FRAME);
    cr_assert_eq(p[3]->video_frame->time_us, 40000u);
}

Test(calls, give_earlier_calls_back_before_the_text)
{
    static const char call[] = "{\"name\":\"a\",\"arguments\":{}}";

    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_text(request, "do it", HEARTH_TEXT_SIZE), 0);
    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_MODEL), 0);
    cr_assert_eq(hearth_request_call(request, call, HEARTH_TEXT_SIZE), 0);
    cr_assert_eq(hearth_request_call(request, call, sizeof(call) - 1), 0);
    cr_assert_eq(hearth_request_text(request, "Okay.", HEARTH_TEXT_SIZE), 0);
    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_text(request, "again", HEARTH_TEXT_SIZE), 0);
    const Hearth__Message *m = generate()->messages[1];

    cr_assert_eq(m->n_parts, 3u);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(m->parts[i]->kind_case, HEARTH__PART__KIND_CALL);
        cr_assert_eq(m->parts[i]->call.len, sizeof(call) - 1);
        cr_assert_arr_eq(m->parts[i]->call.data, call, sizeof(call) - 1);
    }
    cr_assert_eq(m->parts[2]->kind_case, HEARTH__PART__KIND_TEXT);
}

Test(calls, send_a_request_again_and_leave_it_as_it_was)
{
    static char text[300000];

    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_text(request, text, sizeof(text)), 0);
    (void)generate();
    cr_assert_eq(server.n_fds, 1u);
    cr_assert_eq(hearth_request_text(request, "more", 4), 0);
    cr_assert_eq(generate()->messages[0]->parts[0]->kind_case, HEARTH__PART__KIND_TEXT_FD_INDEX);
    struct stat st;
    cr_assert_eq(fstat(server.fds[0], &st), 0);
    cr_assert_eq(st.st_size, (off_t)sizeof(text) + 4);
}

Test(calls, send_large_parts_as_sealed_memory_files)
{
    static char text[400000], image[500000];
    char back[8];
    const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

    memset(text, 't', sizeof(text));
    memset(image, 'i', sizeof(image));
    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    cr_assert_eq(hearth_request_text(request, text, sizeof(text)), 0);
    cr_assert_eq(hearth_request_image(request, image, sizeof(image)), 0);
    cr_assert_eq(hearth_request_text(request, "small", 5), 0);
    const Hearth__Generate *g = generate();

    cr_assert_eq(server.n_fds, 2u);
    Hearth__Part **p = g->messages[0]->parts;
    cr_assert_eq(p[0]->kind_case, HEARTH__PART__KIND_TEXT_FD_INDEX);
    cr_assert_eq(p[0]->text_fd_index, 2u, "the largest part is the first file");
    cr_assert_eq(p[1]->image->fd_index, 1u);
    cr_assert_eq(p[1]->image->data.len, 0u);
    cr_assert(p[2]->kind_case == HEARTH__PART__KIND_TEXT && p[2]->text.len == 5);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(fcntl(server.fds[i], F_GET_SEALS) & seals, seals);
        cr_assert_eq(write(server.fds[i], "x", 1), -1);
        cr_assert_eq(ftruncate(server.fds[i], 0), -1);
        cr_assert_eq(pread(server.fds[i], back, 1, 399999), 1);
        cr_assert_eq(back[0], i == 0 ? 'i' : 't');
    }
}

Test(calls, send_smaller_parts_as_files_too_when_the_frame_would_not_hold_them)
{
    static char image[200000];

    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    for (int i = 0; i < 7; i++)
        cr_assert_eq(hearth_request_image(request, image, sizeof(image) - (size_t)i), 0);
    const Hearth__Generate *g = generate();
    cr_assert_eq(server.n_fds, 2u, "five fit");
    cr_assert_eq(g->messages[0]->parts[0]->image->fd_index, 1u);
    cr_assert_eq(g->messages[0]->parts[1]->image->fd_index, 2u);
    cr_assert_eq(g->messages[0]->parts[2]->image->fd_index, 0u);
}

Test(calls, refuse_more_than_a_frame_and_eight_files_hold)
{
    static char image[300000];

    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_USER), 0);
    for (int i = 0; i < 11; i++)
        cr_assert_eq(hearth_request_image(request, image, sizeof(image)), 0);
    (void)generate();
    cr_assert_eq(server.n_fds, 8u, "and three are in the frame");
    cr_assert_eq(hearth_request_image(request, image, sizeof(image)), 0);
    cr_assert_eq(hearth_generate(client, request, SEE), -E2BIG);
    cr_assert_not_null(strstr(hearth_client_error(client), "too large"));
}

Test(calls, refuse_tools_that_fill_a_frame)
{
    static char json[600000];

    cr_assert_eq(hearth_request_tool(request, json, sizeof(json)), 0);
    cr_assert_eq(hearth_request_tool(request, json, sizeof(json)), 0);
    cr_assert_eq(hearth_generate(client, request, SEE), -E2BIG);
}

Test(calls, begin_a_conversation_with_messages_or_without)
{
    const Hearth__ConversationOpen *m = SENT(CONVERSATION_OPEN, conversation_open,
                                             hearth_conversation_open(client, "talk", NULL, SEE));

    cr_assert(m->n_messages == 0 && m->n_tools == 0 && m->id == id);
    cr_assert_eq(hearth_request_message(request, HEARTH_ROLE_SYSTEM), 0);
    cr_assert_eq(hearth_request_text(request, "Be brief.", 9), 0);
    cr_assert_eq(hearth_request_tool(request, "{}", 2), 0);
    m = SENT(CONVERSATION_OPEN, conversation_open,
             hearth_conversation_open(client, "talk", request, SEE));
    cr_assert_str_eq(m->name, "talk");
    cr_assert_eq(m->messages[0]->parts[0]->text.len, 9u);
    cr_assert_eq(m->tools[0]->json.len, 2u);
}
