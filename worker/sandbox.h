/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker/sandbox.h: what the process cannot do any more. The worker reads model files, images and audio that nobody vouches
 * for, so it gives up files, sockets, programs and other processes before it reads the first byte.
 */
#pragma once
#include "base/reason.h"

enum { SANDBOX_TEXT_MAX = 64 };

/**
 * sandbox_enter() - from now on this process and its threads may use the descriptors that they have or are sent, memory and
 * threads, and nothing else: no file is opened, no socket made, no program started, no privilege gained
 * @ret: [SANDBOX_TEXT_MAX] what confines the process, for people: "seccomp, landlock 4", "none (built without seccomp)".
 * Return: 0; -errno if the kernel refuses a part that it claims to have (@why). A kernel without Landlock is not an
 * error: @ret says what is missing.
 */
int sandbox_enter(char *ret, struct reason *why);
