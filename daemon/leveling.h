/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/leveling.h: the level of each request: what it asked, but no more than an administrator and the governor allow, and
 * with level_may_drop no more than its deadline allows. It may change between two tokens of an answer; what processed
 * which token is written down, for replays and conversations. The level of a prompt is fixed when it is opened.
 */
#pragma once
#include "daemon/request.h"

/** leveling_choose() - @r is about to be opened: its level, and that of its prompt unless it has tokens already. Return: false: @r got its Error and is gone. */
bool leveling_choose(struct request *r);
/**
 * leveling_promise() - may the deadline of @r, which is SCHED_QUEUED, be promised? With level_may_drop: at the cheapest level.
 * Return: true: yes (if its prompt has to be at the cheapest level for that, it is outdated now); false: @ret.
 */
bool leveling_promise(struct request *r, struct sched_late *ret);
/** leveling_pace() - what the tokens of @r cost now, for forecasts. */
void leveling_pace(struct request *r);
/** leveling_preview() - the level that @r would have now, "" while no model is loaded. @ret_why: why it is lower than asked, or "". */
const char *leveling_preview(const struct request *r, struct reason *ret_why);
/** leveling_update() - the level of @r now, for the next plan. Return: true if it changed. */
bool leveling_update(struct request *r);
/** leveling_outdated() - true if nothing of @r was processed yet and its prompt would get another level now: open it anew. */
bool leveling_outdated(const struct request *r);
/** leveling_ran() - a step made a token of @r; @level processed the one before. Call before request_token(). Return: 0, -ENOMEM. */
int leveling_ran(struct request *r, const char *level);

/** leveling_made() - the level that made most of the answer. @ret_why: why it, or a part of it, is lower than asked; "" if none is. */
const char *leveling_made(const struct request *r, struct reason *ret_why);

/** leveling_learn() - a step ran with levels as costly as @level at most. */
void leveling_learn(struct server *s, const char *level);
/** leveling_cost() - of the level with this name; 1 if it is unknown. */
double leveling_cost(const struct server *s, const char *level);
/** leveling_ceiling() - for all requests now: a word or name for Status. @ret_why: borrowed, "" if the governor limits nothing. */
const char *leveling_ceiling(const struct server *s, const char **ret_why);
