/* SPDX-License-Identifier: Apache-2.0 */
/* hearthctl: hearth for people and shell scripts. See docs/man/hearthctl.1. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return command_run(argc, argv);
}
