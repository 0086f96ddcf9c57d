/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client-lib/view.h: protobuf structs as the structs of hearth.h. Strings are not copied: a view is
 * valid as long as the message that it shows.
 */
#pragma once
#include <hearth.h>
#include <hearth.pb-c.h>

/* Arrays of a view, owned by it; zero-initialise before the first use. */
struct view {
    struct hearth_model *models;
    struct hearth_level *levels;
    struct hearth_request_info *requests;
    struct hearth_status status;
};

/** view_models() - show @n models in @v->models. Return: 0, -ENOMEM. */
int view_models(struct view *v, Hearth__Model *const *models, size_t n);

/** view_requests() - show @n requests in @v->requests. Return: 0, -ENOMEM. */
int view_requests(struct view *v, Hearth__RequestInfo *const *requests, size_t n);

/** view_status() - show @s in @v->status. Return: 0, -ENOMEM. */
int view_status(struct view *v, const Hearth__Status *s);

/** view_usage() - show @u, NULL for all zero. */
struct hearth_usage view_usage(const Hearth__Usage *u);

/** view_deinit() - free the arrays; for CLEANUP. */
void view_deinit(struct view *v);
