/* SPDX-License-Identifier: Apache-2.0 */
#include <hearth.h>
#include <hearth.pb-c.h>

/* hearth.h repeats the numbers, because it must not need the generated header. */
_Static_assert((int)HEARTH_E_INTERNAL == (int)HEARTH__ERROR_CODE__ERROR_INTERNAL, "codes");
_Static_assert((int)HEARTH_E_BAD_MODEL == (int)HEARTH__ERROR_CODE__ERROR_BAD_MODEL, "codes");
_Static_assert((int)HEARTH_E_DEADLINE == (int)HEARTH__ERROR_CODE__ERROR_DEADLINE, "codes");
_Static_assert((int)HEARTH_FINISH_CANCELLED == (int)HEARTH__FINISH__FINISH_CANCELLED, "finishes");
_Static_assert((int)HEARTH_ROLE_TOOL == (int)HEARTH__ROLE__ROLE_TOOL, "roles");
_Static_assert((int)HEARTH_CLASS_REALTIME == (int)HEARTH__CLASS__CLASS_REALTIME, "classes");
_Static_assert((int)HEARTH_STATE_DRAINING == (int)HEARTH__STATE__STATE_DRAINING, "states");

const char *hearth_code_name(int code)
{
    switch ((enum hearth_code)code) {
    case HEARTH_E_DISCONNECTED:
        return "DISCONNECTED";
    case HEARTH_E_PROTOCOL:
        return "PROTOCOL";
    case HEARTH_E_VERSION:
        return "VERSION";
    case HEARTH_E_INVALID:
        return "INVALID";
    case HEARTH_E_UNSUPPORTED:
        return "UNSUPPORTED";
    case HEARTH_E_DENIED:
        return "DENIED";
    case HEARTH_E_QUOTA:
        return "QUOTA";
    case HEARTH_E_BUSY:
        return "BUSY";
    case HEARTH_E_NO_MODEL:
        return "NO_MODEL";
    case HEARTH_E_TOO_LONG:
        return "TOO_LONG";
    case HEARTH_E_DEADLINE:
        return "DEADLINE";
    case HEARTH_E_CRASHED:
        return "CRASHED";
    case HEARTH_E_NOT_FOUND:
        return "NOT_FOUND";
    case HEARTH_E_EXISTS:
        return "EXISTS";
    case HEARTH_E_STORAGE:
        return "STORAGE";
    case HEARTH_E_BAD_MODEL:
        return "BAD_MODEL";
    case HEARTH_E_INTERNAL:
        return "INTERNAL";
    case HEARTH_E_UNKNOWN:
        break;
    }
    return "UNKNOWN";
}
