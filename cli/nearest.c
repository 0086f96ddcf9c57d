/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/nearest.h"
#include <stdint.h>
#include <string.h>

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nearest_distance(const char *a, const char *b)
{
    const size_t n_a = strlen(a), n_b = strlen(b);
    size_t rows[3][NEAREST_WORD_MAX + 1]; /* of the matrix: i - 2, i - 1, i, by i % 3 */

    if (n_a >= NEAREST_WORD_MAX || n_b >= NEAREST_WORD_MAX) return NEAREST_WORD_MAX;
    for (size_t j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *const row = rows[i % 3], *const up = rows[(i + 2) % 3];
        const size_t *const up2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = min2(min2(up[j], row[j - 1]) + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min2(row[j], up2[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

const char *nearest_of(const char *word, const char *const *names, size_t n)
{
    const size_t n_word = strlen(word);
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;

    if (n_word == 0 || n_word >= NEAREST_WORD_MAX) return NULL;
    for (size_t i = 0; i < n; i++) {
        const size_t n_name = strlen(names[i]), longer = n_name > n_word ? n_name : n_word;
        const size_t allowed = longer / 3 > 1 ? longer / 3 : 1;
        size_t distance = nearest_distance(word, names[i]);
        if (n_word >= 2 && strncmp(names[i], word, n_word) == 0) distance = 1;
        if (distance <= allowed && distance < longer && distance < best_distance) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}
