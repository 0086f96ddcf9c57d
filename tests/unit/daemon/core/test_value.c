/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "daemon/core/value.h"

Test(value, numbers_are_decimal_digits_within_the_range)
{
    struct reason why;
    uint64_t n = 7;

    cr_assert_eq(value_number("weight", "1", 1, 1000, &why, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(value_number("weight", "1000", 1, 1000, &why, &n), 0);
    cr_assert_eq(value_number("all", "18446744073709551615", 0, UINT64_MAX, &why, &n), 0);
    cr_assert_eq(n, UINT64_MAX);
    static const char *const bad[] = { "0",
                                       "1001",
                                       "",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1x",
                                       "0x10",
                                       "1.5",
                                       "1e2",
                                       "ten",
                                       "18446744073709551616",
                                       "99999999999999999999999999" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        n = 7;
        cr_assert_eq(value_number("weight", bad[i], 1, 1000, &why, &n), VALUE_E_INVALID, "%s",
                     bad[i]);
        cr_assert_eq(n, 7, "written on success only");
    }
    cr_assert_str_eq(why.text,
                     "weight is a number from 1 to 1000, not \"99999999999999999999999999\"");
}

Test(value, sizes_may_have_a_unit)
{
    struct reason why;
    uint64_t n = 0;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = { { "4096", 4096 },
                 { "4K", 4096 },
                 { "512M", UINT64_C(512) << 20 },
                 { "2G", UINT64_C(2) << 30 },
                 { "1T", UINT64_C(1) << 40 } };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert_eq(value_size("kv", good[i].text, 1024, UINT64_C(1) << 40, &why, &n), 0, "%s",
                     good[i].text);
        cr_assert_eq(n, good[i].bytes, "%s", good[i].text);
    }
    static const char *const bad[] = { "",
                                       "M",
                                       "1023",
                                       "2T",
                                       "512MB",
                                       "512 M",
                                       "-1M",
                                       "1.5G",
                                       "512m",
                                       "1P",
                                       "0K",
                                       "16777216T",
                                       "18446744073709551615K",
                                       "99999999999999999999T" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(value_size("kv", bad[i], 1024, UINT64_C(1) << 40, &why, &n), VALUE_E_INVALID,
                     "%s", bad[i]);
    cr_assert_eq(value_size("kv", "x", 1000, UINT64_C(3) << 20, &why, &n), VALUE_E_INVALID);
    cr_assert(strstr(why.text, "kv is a size from 1000 to 3M"), "%s", why.text);
}

Test(value, yes_and_no_have_several_words)
{
    static const char *const yes[] = { "yes", "true", "on", "1", "YES", "True" };
    static const char *const no[] = { "no", "false", "off", "0", "No", "OFF" };
    struct reason why;
    bool b;

    for (size_t i = 0; i < 6; i++) {
        b = false;
        cr_assert_eq(value_bool("admin", yes[i], &why, &b), 0);
        cr_assert(b, "%s", yes[i]);
        cr_assert_eq(value_bool("admin", no[i], &why, &b), 0);
        cr_assert_not(b, "%s", no[i]);
    }
    b = true;
    cr_assert_eq(value_bool("admin", "maybe", &why, &b), VALUE_E_INVALID);
    cr_assert(b);
    cr_assert_str_eq(why.text, "admin is yes or no, not \"maybe\"");
    cr_assert_eq(value_bool("admin", "", &why, &b), VALUE_E_INVALID);
    cr_assert_eq(value_bool("admin", "yess", &why, &b), VALUE_E_INVALID);
}

Test(value, the_nearest_word_is_suggested)
{
    static const char *const words[] = { "threads", "context", "kv-memory", "chunk", "load", NULL };

    cr_assert_str_eq(value_nearest("thread", words), "threads");
    cr_assert_str_eq(value_nearest("treads", words), "threads");
    cr_assert_str_eq(value_nearest("kv-memroy", words), "kv-memory");
    cr_assert_str_eq(value_nearest("kv_memory", words), "kv-memory");
    cr_assert_str_eq(value_nearest("lod", words), "load");
    cr_assert_str_eq(value_nearest("chunk", words), "chunk");
    cr_assert_null(value_nearest("lo", words), "two away from a word of four letters");
    cr_assert_null(value_nearest("", words));
    cr_assert_null(value_nearest("temperature", words));
    static const char *const equal[] = { "aab", "aac", NULL }, *const none[] = { NULL };
    cr_assert_str_eq(value_nearest("aaa", equal), "aab", "the first of equals");
    cr_assert_null(value_nearest("aaa", none));
}

Test(value, words_of_any_length_are_looked_at)
{
    char word[4096];
    static const char *const words[] = { "threads", NULL };

    memset(word, 't', sizeof(word) - 1);
    word[sizeof(word) - 1] = 0;
    cr_assert_null(value_nearest(word, words));
    const char *const same[] = { word, NULL };
    cr_assert_eq(value_nearest(word, same), word);
}
