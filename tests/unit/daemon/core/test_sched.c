/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "tests/unit/daemon/core/sched_world.h"
