/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "engine/decode/kv.h"

enum { P = KERNELS_PAGE };

static struct kv_pool *pool;

/* Layers: sliding, full, sliding; the window sees 40 positions. */
static void make(uint32_t n_pages)
{
    const struct kv_shape s = { .n_layers = 3,
                                .sliding = { true, false, true },
                                .window = 40,
                                .n_heads = 2,
                                .head_size = 8,
                                .f32 = true };

    cr_assert_eq(kv_pool_new(&s, n_pages, &pool), 0);
}

static struct kv_table table(uint32_t context)
{
    struct kv_table t;

    cr_assert_eq(kv_table_init(&t, pool, context), 0);
    return t;
}

static void add(struct kv_table *t, uint32_t n)
{
    cr_assert_eq(kv_table_extend(t, n), 0);
    kv_table_advance(t, n);
}

Test(kv, sliding_layers_keep_their_window_and_full_layers_everything)
{
    make(100);
    struct kv_table t = table(10 * P);
    add(&t, P);
    cr_assert_eq(t.n_pages, 3u);
    add(&t, 9 * P);
    /* the next position, 320, sees 281 and later: blocks 8 and 9 of the sliding layers are left */
    cr_assert_eq(t.n_pages, 10u + 2 * 2);
    cr_assert_eq(kv_pool_used(pool), t.n_pages);
    kv_table_deinit(&t);
    cr_assert_eq(kv_pool_used(pool), 0u);
    kv_pool_free(pool);
}

Test(kv, no_sequence_holds_more_than_was_foretold)
{
    make(200);
    for (uint32_t chunk = 1; chunk <= 50; chunk += 7) {
        struct kv_table t = table(10 * P);
        for (uint32_t n = 0; n + chunk <= 10 * P; n += chunk) {
            cr_assert_eq(kv_table_extend(&t, chunk), 0);
            cr_assert_leq(t.n_pages, kv_pages_for(kv_pool_shape(pool), n + chunk, chunk),
                          "%u tokens by %u", n, chunk);
            kv_table_advance(&t, chunk);
        }
        kv_table_deinit(&t);
    }
    kv_pool_free(pool);
}

Test(kv, a_pool_without_free_pages_starves_a_sequence_and_changes_nothing)
{
    make(7);
    struct kv_table a = table(10 * P), b = table(10 * P);
    add(&a, 2 * P);
    cr_assert_eq(kv_table_extend(&b, 1), KV_E_STARVED);
    cr_assert_eq(b.n_pages, 0u);
    cr_assert_eq(kv_pool_used(pool), 6u);
    kv_table_deinit(&a);
    cr_assert_eq(kv_table_extend(&b, 1), 0);
    kv_table_deinit(&b);
    kv_pool_free(pool);
}

static float *key(const struct kv_table *t, uint32_t layer, uint32_t block)
{
    return kv_place(t, layer, block, 1).k;
}

Test(kv, a_shared_page_is_copied_before_it_is_written)
{
    make(100);
    struct kv_table a = table(10 * P), b = table(10 * P);
    add(&a, P + 5);
    *key(&a, 1, 0) = 7.0f;
    *key(&a, 1, 1) = 42.0f;
    cr_assert_eq(kv_table_share(&b, &a, P + 3), 0);
    cr_assert_eq(kv_pool_used(pool), 6u, "nothing is copied yet");
    cr_assert_eq(key(&a, 1, 1), key(&b, 1, 1));
    add(&b, 1);
    cr_assert_eq(kv_pool_used(pool), 9u, "the last page of each layer is now its own");
    cr_assert_neq(key(&a, 1, 1), key(&b, 1, 1));
    cr_assert_eq(key(&a, 1, 0), key(&b, 1, 0));
    cr_assert_eq(*key(&b, 1, 1), 42.0f);
    kv_table_deinit(&a);
    cr_assert_eq(*key(&b, 1, 0), 7.0f, "what was shared outlives the first owner");
    kv_table_deinit(&b);
    cr_assert_eq(kv_pool_used(pool), 0u);
    kv_pool_free(pool);
}

Test(kv, a_prefix_whose_window_is_gone_cannot_be_shared)
{
    make(100);
    struct kv_table a = table(10 * P), b = table(10 * P);
    add(&a, 5 * P);
    cr_assert_eq(kv_table_share(&b, &a, 2 * P), KV_E_STARVED);
    cr_assert_eq(b.n_pages, 0u);
    cr_assert_eq(kv_table_share(&b, &a, 5 * P), 0);
    kv_table_deinit(&b);
    kv_table_deinit(&a);
    kv_pool_free(pool);
}

static uint8_t *bytes_at(const struct kv_table *t, uint32_t block)
{
    return kv_place(t, 1, block, 0).k;
}

Test(kv, the_memory_of_free_pages_can_be_given_back)
{
    make(40);
    struct kv_table gone = table(10 * P), stays = table(10 * P);
    add(&gone, 2 * P);
    add(&stays, P);
    uint8_t *free_memory = bytes_at(&gone, 1), *used = bytes_at(&stays, 0);
    memset(free_memory, 7, 64);
    memset(used, 7, 64);
    kv_table_deinit(&gone);
    cr_assert_geq(kv_pool_trim(pool), 37u * 4096 / 2, "as far as whole memory pages go");
    cr_assert_eq(free_memory[0], 0, "the system took it");
    cr_assert_eq(used[0], 7);
    struct kv_table again = table(10 * P);
    add(&again, 10 * P);
    memset(bytes_at(&again, 9), 8, 64);
    cr_assert_eq(bytes_at(&again, 9)[63], 8, "and it can be used again");
    kv_table_deinit(&again);
    kv_table_deinit(&stays);
    kv_pool_free(pool);
}
