/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "engine/token/detokenizer.h"
#include "engine/token/plain.h"
#include "tests/unit/engine/token/vocab_make.h"

#define SHOTS                                                                                      \
    "Q: Hello!\nA: Hello! How can I help you?\nQ: What is the capital of Italy?\nA: Rome\n"        \
    "Q: How many days are in a week?\nA: Seven\nQ: Who wrote Romeo and Juliet?\nA: William "       \
    "Shakespeare\n"

static struct vocab_made made;
static struct tokenizer *t;

static void setup(void)
{
    struct gguf_make m;

    gguf_make_init(&m);
    vocab_make_small(&m);
    made = vocab_make_load(&m);
    cr_assert_eq(tokenizer_new(made.v, &t), 0);
}

static void drop(void)
{
    t = tokenizer_free(t);
    vocab_made_deinit(&made);
}

/* The plain form as text. */
static const char *render(const struct chat_turn *turns, size_t n, bool answer)
{
    static char text[1 << 16];
    static uint32_t ids[1 << 14];
    struct prompt p;
    size_t n_ids, at = 0;

    prompt_init(&p, t, ids, 1 << 14);
    cr_assert_eq(plain_render(&p, turns, n, answer), 0);
    cr_assert_eq(prompt_end(&p, &n_ids), 0);
    for (size_t i = 0; i < n_ids; i++)
        at += detokenizer_piece(made.v, ids[i], true, text + at);
    text[at] = 0;
    prompt_deinit(&p);
    return text;
}

static struct chat_turn turn(enum chat_role role, const char *text)
{
    return (struct chat_turn){ .role = role, .text = text, .n = strlen(text) };
}

static const char *ask(const char *text)
{
    const struct chat_turn one = turn(CHAT_ROLE_USER, text);

    return render(&one, 1, true);
}

Test(plain, asks_a_question_after_examples, .init = setup, .fini = drop)
{
    cr_assert_str_eq(ask("What is ice?"), SHOTS "Q: What is ice?\nA:");
    cr_assert_str_eq(ask("  What\n\nis\r\nice?\n"), SHOTS "Q: What is ice?\nA:", "one line");
    cr_assert_str_eq(ask(""), SHOTS "Q: \nA:");
}

Test(plain, earlier_turns_are_lines_and_the_system_text_stands_first, .init = setup, .fini = drop)
{
    const struct chat_turn turns[] = { turn(CHAT_ROLE_SYSTEM, " Be brief.\n"),
                                       turn(CHAT_ROLE_USER, "One?"),
                                       turn(CHAT_ROLE_MODEL, "Yes.\nYes!"),
                                       turn(CHAT_ROLE_USER, "Two?") };

    cr_assert_str_eq(render(turns, 4, true),
                     "Be brief.\n\n" SHOTS "Q: One?\nA: Yes. Yes!\nQ: Two?\nA:");
    cr_assert_str_eq(render(turns, 3, false), "Be brief.\n\n" SHOTS "Q: One?\nA: Yes. Yes!\n");
    cr_assert_str_eq(render(turns, 1, false), "Be brief.\n\n" SHOTS);
    cr_assert_str_eq(render(turns + 1, 1, false), SHOTS "Q: One?\n");
}

Test(plain, an_answer_given_as_tokens_keeps_them_and_ends_with_its_line, .init = setup,
     .fini = drop)
{
    const uint32_t line = vocab_find(made.v, "\n", 1),
                   the = vocab_find(made.v, VOCAB_SPACE "the", 6);
    const uint32_t ids[] = { the, line, 1 }; /* the stop text and eos were sampled too */
    struct chat_turn turns[] = { turn(CHAT_ROLE_USER, "One?"),
                                 { .role = CHAT_ROLE_MODEL, .ids = ids },
                                 turn(CHAT_ROLE_USER, "Two?") };

    for (size_t n = 0; n <= 3; n++) {
        turns[1].n_ids = n;
        cr_assert_str_eq(render(turns, 3, true),
                         n == 0 ? SHOTS "Q: One?\nA:\nQ: Two?\nA:"
                                : SHOTS "Q: One?\nA: the\nQ: Two?\nA:",
                         "%zu tokens", n);
    }
}

Test(plain, asks_for_a_translation_with_examples_of_the_language, .init = setup, .fini = drop)
{
    cr_assert_str_eq(ask("Translate to German: I am\nhungry."),
                     "Translate English to German.\nEnglish: Good morning.\nGerman: Guten Morgen.\n"
                     "English: Thank you very much.\nGerman: Vielen Dank.\n"
                     "English: Where is the station?\nGerman: Wo ist der Bahnhof?\n"
                     "English: I am hungry.\nGerman:");
    cr_assert_str_eq(ask("translate \"안녕\" into English"),
                     "Translate into English.\nText: 좋은 아침입니다.\nEnglish: Good morning.\n"
                     "Text: Merci beaucoup.\nEnglish: Thank you very much.\n"
                     "Text: Wo ist der Bahnhof?\nEnglish: Where is the station?\n"
                     "Text: 안녕\nEnglish:");
}

Test(plain, a_translation_is_asked_alone, .init = setup, .fini = drop)
{
    const struct chat_turn turns[] = { turn(CHAT_ROLE_SYSTEM, "Be brief."),
                                       turn(CHAT_ROLE_USER, "One?"), turn(CHAT_ROLE_MODEL, "Yes."),
                                       turn(CHAT_ROLE_USER, "Translate to French: Two.") };
    const char *text = render(turns, 4, true);

    cr_assert_eq(strncmp(text, "Translate English to French.\n", 29), 0);
    cr_assert_null(strstr(text, "brief"));
}

Test(plain, finds_requests_for_translations)
{
    static const struct {
        const char *text, *to, *phrase;
    } cases[] = {
        { "Translate to Korean: Good night", "Korean", "Good night" },
        { "translate into korean good night.", "Korean", "good night." },
        { "Translate English to Korean: Good night", "Korean", "Good night" },
        { "Translate from German to English: Guten Tag", "English", "Guten Tag" },
        { "Please translate 'Good night' to French.", "French", "Good night" },
        { "Translate this to Spanish:\n\nI go to Spanish class", "Spanish",
          "I go to Spanish class" },
        { "Translate \"I go to Spanish class\" to French", "French", "I go to Spanish class" },
        { "Translate I go to school to Dutch", "Dutch", "I go to school" },
        { "  please TRANSLATE to JAPANESE - thanks!", "Japanese", "thanks!" },
        { "How do you say good night in Italian?", "Italian", "good night" },
        { "How would you say \"I live in Korean towns\" in Chinese", "Chinese",
          "I live in Korean towns" },
        { "say hello in Russian", "Russian", "hello" },
    };
    static const char *const none[] = {
        "",
        " ",
        "Translate",
        "Translate to",
        "Translate to Klingon: hello",
        "Translate to Korean",
        "Translate to Korean:",
        "Translations to Korean: how?",
        "What is the word for water in French?",
        "I want to translate to Korean: x",
        "Translate to Koreans: hello",
        "Say hello",
        "please",
        "Translate \"",
        "Translate \"\" to Korean",
        "How do you say in Italian?",
    };
    struct plain_translation found;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert(plain_find_translation(cases[i].text, strlen(cases[i].text), &found), "%s",
                  cases[i].text);
        cr_assert_str_eq(found.to->name, cases[i].to, "%s", cases[i].text);
        cr_assert_eq(found.phrase.n, strlen(cases[i].phrase), "%s: '%.*s'", cases[i].text,
                     (int)found.phrase.n, found.phrase.bytes);
        cr_assert_eq(memcmp(found.phrase.bytes, cases[i].phrase, found.phrase.n), 0, "%s",
                     cases[i].text);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        cr_assert_not(plain_find_translation(none[i], strlen(none[i]), &found), "%s", none[i]);
    cr_assert_not(plain_find_translation(NULL, 0, &found));
}
