/* SPDX-License-Identifier: Apache-2.0 */
/* base/list.h: intrusive doubly linked list. A head is a node that is never an element. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/** LIST_ENTRY() - the element of type @type whose member @member is @node. */
#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/** LIST_EACH() - visit the elements in order; @it may be removed or freed in the loop's body. */
#define LIST_EACH(it, head, type, member)                                                          \
    for (type *it = LIST_ENTRY((head)->next, type, member),                                        \
              *it##_next = LIST_ENTRY(it->member.next, type, member);                              \
         &it->member != (head);                                                                    \
         it = it##_next, it##_next = LIST_ENTRY(it->member.next, type, member))

/** list_init() - make @head an empty list, or @head a node that is in no list. */
static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

/** list_empty() - true if @head has no elements, or if the node @head is in no list. */
static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/** list_push_back() - append @node, which must be in no list. */
static inline void list_push_back(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/** list_push_front() - prepend @node, which must be in no list. */
static inline void list_push_front(struct list *head, struct list *node)
{
    list_push_back(head->next, node);
}

/** list_remove() - take @node out of its list; it is then in none, and removing it again is harmless. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
