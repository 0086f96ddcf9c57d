/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/prompt.h"
#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include "base/err.h"

void prompt_init(struct prompt *p, struct tokenizer *t, uint32_t *out, size_t max)
{
    *p = (struct prompt){ .t = t, .out = out, .max = max };
    buf_init(&p->text, TOKENIZER_TEXT_MAX);
}

void prompt_deinit(struct prompt *p)
{
    buf_deinit(&p->text);
}

int prompt_text(struct prompt *p, const char *text, size_t n)
{
    const int r = buf_append(&p->text, text, n);

    if (r < 0) return err_pass(r);
    return r == BUF_E_FULL ? PROMPT_E_LONG : 0;
}

int prompt_line(struct prompt *p, const char *text, size_t n)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n;) {
        const size_t from = i;
        const bool ends = text[i] == '\n' || text[i] == '\r';
        while (i < n && ends == (text[i] == '\n' || text[i] == '\r'))
            i++;
        r = ends ? prompt_text(p, " ", 1) : prompt_text(p, text + from, i - from);
    }
    return r;
}

/* Encode the text that was collected. */
static int flush(struct prompt *p)
{
    const size_t used = p->n < p->max ? p->n : p->max;
    size_t n;

    if (p->text.n == 0) return 0;
    const char *text = (const char *)buf_front(&p->text);
    const int r = tokenizer_encode(p->t, text, p->text.n, false, p->out ? p->out + used : NULL,
                                   p->max - used, &n);
    if (r < 0) return err_pass(r);
    assert(r != TOKENIZER_E_LONG); /* the buffer has the same maximum */
    buf_consume(&p->text, p->text.n);
    p->n += n;
    return 0;
}

int prompt_ids(struct prompt *p, const uint32_t *ids, size_t n)
{
    const int r = flush(p);

    if (r < 0) return err_pass(r);
    for (size_t i = 0; i < n; i++, p->n++)
        if (p->n < p->max) p->out[p->n] = ids[i];
    return 0;
}

int prompt_id(struct prompt *p, uint32_t id)
{
    return prompt_ids(p, &id, 1);
}

int prompt_end(struct prompt *p, size_t *ret_n)
{
    const int r = flush(p);

    if (r < 0) return err_pass(r);
    *ret_n = p->n;
    return p->n > p->max ? PROMPT_E_FULL : 0;
}

/* Bytes of the white space that @text: [n] begins with, 0 if it begins with none. */
static size_t space_at(const char *text, size_t n)
{
    static const char *const wide[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
        "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
        "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
    };

    if (n == 0) return 0;
    if ((text[0] >= '\t' && text[0] <= '\r') || (text[0] >= 0x1c && text[0] <= ' ')) return 1;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        const size_t length = strlen(wide[i]);
        if (length <= n && memcmp(text, wide[i], length) == 0) return length;
    }
    return 0;
}

/* Bytes of the white space that @text: [n] ends with. */
static size_t space_before_end(const char *text, size_t n)
{
    for (size_t length = 1; length <= 3 && length <= n; length++)
        if (space_at(text + n - length, length) == length) return length;
    return 0;
}

struct gguf_string prompt_trim(const char *text, size_t n)
{
    size_t space;

    while ((space = space_at(text, n)) > 0) {
        text += space;
        n -= space;
    }
    while ((space = space_before_end(text, n)) > 0)
        n -= space;
    return (struct gguf_string){ .bytes = text, .n = n };
}
