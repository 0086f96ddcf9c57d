/* SPDX-License-Identifier: Apache-2.0 */
/* For builds without libseccomp: only what prctl gives. */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include "base/err.h"
#include "worker/sandbox.h"

int sandbox_enter(char *ret, struct reason *why)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        reason_set(why, "the kernel refuses no_new_privs");
        return err_raise(-errno);
    }
    (void)snprintf(ret, SANDBOX_TEXT_MAX, "none (built without seccomp)");
    return 0;
}
