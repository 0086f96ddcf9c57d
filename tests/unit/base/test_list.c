/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "base/list.h"

struct item {
    int n;
    struct list node;
};

Test(list, keeps_the_order_and_survives_removal_while_it_is_visited)
{
    struct list head;
    struct item items[4];
    int sum = 0;

    list_init(&head);
    cr_assert(list_empty(&head));
    for (int i = 0; i < 3; i++) {
        items[i].n = i + 1;
        list_push_back(&head, &items[i].node);
    }
    items[3].n = 9;
    list_push_front(&head, &items[3].node);
    LIST_EACH(it, &head, struct item, node)
    {
        sum = sum * 10 + it->n;
        if (it->n == 2) list_remove(&it->node);
    }
    cr_assert_eq(sum, 9123);
    sum = 0;
    LIST_EACH(it, &head, struct item, node)
    sum = sum * 10 + it->n;
    cr_assert_eq(sum, 913);
    list_remove(&items[1].node);
    cr_assert(list_empty(&items[1].node), "removing twice is harmless");
}
