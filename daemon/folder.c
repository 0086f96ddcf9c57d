/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/folder.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int folder_make(const char *path, mode_t mode)
{
    char part[PATH_MAX];

    for (const char *end = path; *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        (void)snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
        if (mkdir(part, end[strspn(end, "/")] ? 0755 : mode) < 0 && errno != EEXIST &&
            errno != EROFS && errno != EACCES)
            return -errno;
        /* the last two: it may be there all the same, opening it will tell */
    }
    return 0;
}
