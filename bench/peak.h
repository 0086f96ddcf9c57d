/* SPDX-License-Identifier: Apache-2.0 */
/* bench/peak.h: the most products that a core can add up, which is the limit of prefill. */
#pragma once

enum peak_kind { PEAK_INT8, PEAK_F32 };

/**
 * peak_macs() - multiply-accumulates per second of one thread, from a loop of the instructions that the kernel set
 * @kernels uses, on registers alone: dot products of 8-bit integers, or fused multiply-adds of float32
 * Return: 0 for a set without such instructions ("c", "plain"), or one that this build does not know.
 */
double peak_macs(const char *kernels, enum peak_kind kind);
