/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "cli/model.h"

Test(model, name_comes_from_the_files_last_part)
{
    char name[MODEL_NAME_MAX + 1];

    cr_assert_str_eq(model_name_of("/home/a b/gemma-3n-E2B.gguf", name), "gemma-3n-E2B");
    cr_assert_str_eq(model_name_of("GEMMA.GGUF", name), "GEMMA");
    cr_assert_str_eq(model_name_of("my model (1).gguf", name), "my-model--1-");
    cr_assert_str_eq(model_name_of("../.hidden.gguf", name), "hidden");
    cr_assert_str_eq(model_name_of("x/.gguf", name), "gguf");
    cr_assert_str_eq(model_name_of("gro\xc3\x9f.gguf", name), "gro--");
    cr_assert_str_eq(model_name_of("dir/", name), "");
    cr_assert_str_eq(model_name_of("...", name), "");
}

Test(model, name_has_at_most_64_bytes)
{
    char name[MODEL_NAME_MAX + 1], path[200];

    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    cr_assert_eq(strlen(model_name_of(path, name)), MODEL_NAME_MAX);
}
