/* SPDX-License-Identifier: Apache-2.0 */
/* bench/peak.h: the most 8-bit products that a core can add up, which is the limit of prefill. */
#pragma once

/**
 * peak_macs() - multiply-accumulates per second of one thread, from a loop of the dot-product instructions that the
 * kernel set @kernels uses, on registers alone
 * Return: 0 for a set without such instructions ("c", "plain"), or one that this build does not know.
 */
double peak_macs(const char *kernels);
