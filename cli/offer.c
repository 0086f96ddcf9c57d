/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/offer.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/generate.h"
#include "cli/out.h"

static int offer(struct hearth_request *q, const char *path, size_t at, const json_t *tool)
{
    CLEANUP(freep) char *text = json_is_object(tool) ? json_dumps(tool, JSON_COMPACT) : NULL;

    if (!text) {
        out_error("%s: tool %zu is no JSON object with a 'name' and 'parameters'", path, at + 1);
        return TALK_USAGE;
    }
    const int r = hearth_request_tool(q, text, strlen(text));
    if (r != -E2BIG) return generate_check(r);
    out_error("%s: a request takes at most 256 tools", path);
    return TALK_USAGE;
}

const char *offer_file(const char *path)
{
    const char *const env = getenv("HEARTH_TOOLS");

    return path ? path : env && *env ? env : NULL;
}

int offer_tools(struct hearth_request *q, const char *path)
{
    json_auto_t *file = NULL;
    struct buf b;
    json_error_t e;
    json_t *tool;
    size_t i;

    buf_init(&b, GENERATE_INPUT_MAX);
    int r = generate_read_file(path, &b);
    if (r == TALK_OK) {
        file = json_loadb(b.n ? (const char *)buf_front(&b) : "", b.n, JSON_REJECT_DUPLICATES, &e);
        if (!file) {
            out_error("%s: line %d: %s", path, e.line, e.text);
            r = TALK_USAGE;
        }
    }
    buf_deinit(&b);
    if (r != TALK_OK) return r;
    if (!json_is_array(file)) return offer(q, path, 0, file);
    json_array_foreach(file, i, tool)
    {
        r = offer(q, path, i, tool);
        if (r != TALK_OK) return r;
    }
    return TALK_OK;
}
