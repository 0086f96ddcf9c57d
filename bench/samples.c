/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/samples.h"
#include <errno.h>
#include <stdlib.h>
#include "base/err.h"
#include "bench/stats.h"

enum { N_SHOWN = 4 };

static const struct {
    const char *name;
    double q;
} shown[N_SHOWN] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "max", 1 } };

int samples_add(struct samples *s, double x)
{
    if (s->n == s->size) {
        const size_t size = s->size ? 2 * s->size : 256;
        double *more = size <= SAMPLES_MAX ? reallocarray(s->x, size, sizeof(*more)) : NULL;
        if (!more) return err_raise(-ENOMEM);
        s->x = more;
        s->size = size;
    }
    s->x[s->n++] = x;
    return 0;
}

void samples_deinit(struct samples *s)
{
    free(s->x);
    *s = (struct samples){ 0 };
}

double samples_quantile(struct samples *s, double q)
{
    return stats_quantile(s->x, s->n, q);
}

void samples_print(struct samples *s, FILE *out)
{
    for (int i = 0; i < N_SHOWN; i++)
        if (s->n > 0)
            (void)fprintf(out, " %7.0f", samples_quantile(s, shown[i].q) * 1e3);
        else
            (void)fprintf(out, " %7s", "-");
}

json_t *samples_json(struct samples *s)
{
    json_t *o = json_object();

    for (int i = 0; i < N_SHOWN; i++)
        (void)json_object_set_new(o, shown[i].name,
                                  s->n > 0 ? json_real(samples_quantile(s, shown[i].q) * 1e3)
                                           : json_null());
    (void)json_object_set_new(o, "n", json_integer((json_int_t)s->n));
    return o;
}
