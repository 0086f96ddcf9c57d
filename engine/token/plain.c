/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/token/plain.h"
#include <string.h>
#include <strings.h>
#include "engine/token/detokenizer.h"

/* What answers should be like: short, one line, a greeting among them. */
static const char questions[] = "Q: Hello!\nA: Hello! How can I help you?\n"
                                "Q: What is the capital of Italy?\nA: Rome\n"
                                "Q: How many days are in a week?\nA: Seven\n"
                                "Q: Who wrote Romeo and Juliet?\nA: William Shakespeare\n";

static const char *const english[3] = { "Good morning.", "Thank you very much.",
                                        "Where is the station?" };

static const struct plain_language languages[] = {
    { "Korean", { "좋은 아침입니다.", "감사합니다.", "역이 어디에 있나요?" } },
    { "French", { "Bonjour.", "Merci beaucoup.", "Où est la gare ?" } },
    { "German", { "Guten Morgen.", "Vielen Dank.", "Wo ist der Bahnhof?" } },
    { "Spanish", { "Buenos días.", "Muchas gracias.", "¿Dónde está la estación?" } },
    { "Italian", { "Buongiorno.", "Grazie mille.", "Dov'è la stazione?" } },
    { "Portuguese", { "Bom dia.", "Muito obrigado.", "Onde fica a estação?" } },
    { "Dutch", { "Goedemorgen.", "Dank u wel.", "Waar is het station?" } },
    { "Russian", { "Доброе утро.", "Большое спасибо.", "Где находится вокзал?" } },
    { "Japanese", { "おはようございます。", "ありがとうございます。", "駅はどこですか?" } },
    { "Chinese", { "早上好。", "非常感谢。", "车站在哪里?" } },
    { "English",
      { NULL, NULL, NULL } }, /* from several languages: what the source is, nobody says */
};
enum { N_LANGUAGES = sizeof(languages) / sizeof(languages[0]) };

/* ---- requests for translations ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* True if @word stands at the beginning of @s, in any case, and ends there as a word. */
static bool begins(struct gguf_string s, const char *word)
{
    const size_t n = strlen(word);

    return s.n >= n && strncasecmp(s.bytes, word, n) == 0 && (s.n == n || !is_letter(s.bytes[n]));
}

static struct gguf_string behind(struct gguf_string s, size_t n)
{
    return prompt_trim(s.bytes + n, s.n - n);
}

/* Without @word in front, if it is there. */
static struct gguf_string without(struct gguf_string s, const char *word)
{
    return begins(s, word) ? behind(s, strlen(word)) : s;
}

/* The language that @s begins with. */
static const struct plain_language *language_at(struct gguf_string s)
{
    for (int i = 0; i < N_LANGUAGES; i++)
        if (begins(s, languages[i].name)) return &languages[i];
    return NULL;
}

/* What stands between the first and the last double quote of @s; bytes NULL if there are no two. */
static struct gguf_string quoted(struct gguf_string s)
{
    const char *first = memchr(s.bytes, '"', s.n), *last = memrchr(s.bytes, '"', s.n);

    if (!first || first == last) return (struct gguf_string){ NULL, 0 };
    return prompt_trim(first + 1, (size_t)(last - first - 1));
}

/* A phrase without the punctuation between it and the rest of the request. */
static struct gguf_string phrase(struct gguf_string s)
{
    s = prompt_trim(s.bytes, s.n);
    while (s.n > 0 && strchr(":,-'", s.bytes[0]))
        s = behind(s, 1);
    while (s.n > 0 && strchr(":,-'", s.bytes[s.n - 1]))
        s = prompt_trim(s.bytes, s.n - 1);
    return s;
}

/* "... @word LANGUAGE ...": the first that has a phrase behind it, else the last that has one in front. */
static bool find_parts(struct gguf_string s, const char *word, struct plain_translation *ret)
{
    const struct gguf_string quote = quoted(s);
    bool found = false;

    for (size_t i = 0; i < s.n; i++) {
        const struct gguf_string at = { s.bytes + i, s.n - i };
        if ((i > 0 && is_letter(s.bytes[i - 1])) || !begins(at, word)) continue;
        if (quote.bytes && at.bytes >= quote.bytes && at.bytes < quote.bytes + quote.n) continue;
        const struct gguf_string rest = behind(at, strlen(word));
        const struct plain_language *to = language_at(rest);
        if (!to) continue;
        const struct gguf_string after = phrase(behind(rest, strlen(to->name)));
        const struct gguf_string before = phrase((struct gguf_string){ s.bytes, i });
        const bool has_after = after.n > 0 && !(after.n == 1 && strchr(".?!", after.bytes[0]));
        const struct gguf_string what = quote.bytes ? quote : has_after ? after : before;
        if (what.n == 0) continue;
        *ret = (struct plain_translation){ .to = to, .phrase = what };
        found = true;
        if (has_after) break;
    }
    return found;
}

bool plain_find_translation(const char *text, size_t n, struct plain_translation *ret)
{
    static const char *const say[] = { "how do you say", "how do i say", "how would you say",
                                       "say" };
    struct gguf_string s = without(prompt_trim(text, n), "please");

    if (begins(s, "translate")) {
        s = without(behind(s, strlen("translate")), "this");
        return find_parts(s, "to", ret) || find_parts(s, "into", ret);
    }
    for (size_t i = 0; i < sizeof(say) / sizeof(say[0]); i++)
        if (begins(s, say[i])) return find_parts(behind(s, strlen(say[i])), "in", ret);
    return false;
}

/* ---- rendering ---- */

static int put(struct prompt *p, const char *text)
{
    return prompt_text(p, text, strlen(text));
}

static int put_line(struct prompt *p, const char *name, const char *text, size_t n)
{
    const struct gguf_string s = prompt_trim(text, n);
    int r = put(p, name);

    if (r == 0) r = put(p, ": ");
    if (r == 0) r = prompt_line(p, s.bytes, s.n);
    return r != 0 ? r : put(p, "\n");
}

static int put_example(struct prompt *p, const char *from, const char *text, const char *to,
                       const char *translated)
{
    const int r = put_line(p, from, text, strlen(text));

    return r != 0 ? r : put_line(p, to, translated, strlen(translated));
}

static int render_translation(struct prompt *p, const struct plain_translation *t)
{
    const bool known = t->to->examples[0] != NULL; /* else from any language into English */
    const char *from = known ? "English" : "Text";
    int r = put(p, known ? "Translate English to " : "Translate into ");

    if (r == 0) r = put(p, t->to->name);
    if (r == 0) r = put(p, ".\n");
    for (int i = 0; r == 0 && i < 3; i++) /* into English: each example from another language */
        r = put_example(p, from, known ? english[i] : languages[i].examples[i], t->to->name,
                        known ? t->to->examples[i] : english[i]);
    if (r == 0) r = put_line(p, from, t->phrase.bytes, t->phrase.n);
    if (r == 0) r = put(p, t->to->name);
    return r != 0 ? r : put(p, ":");
}

/* An earlier answer: a line, which ends with a line end even where its tokens have none. */
static int put_answer(struct prompt *p, const struct chat_turn *turn)
{
    const struct vocab *v = tokenizer_vocab(p->t);
    char piece[DETOKENIZER_OUT_MAX];
    size_t n = turn->n_ids, n_piece = 0;

    if (!turn->ids) return put_line(p, "A", turn->text, turn->n);
    while (n > 0 && vocab_is_stop(v, turn->ids[n - 1]))
        n--;
    int r = put(p, "A:");
    if (r == 0) r = prompt_ids(p, turn->ids, n);
    if (n > 0) n_piece = detokenizer_piece(v, turn->ids[n - 1], false, piece);
    if (r == 0 && (n_piece == 0 || piece[n_piece - 1] != '\n')) r = put(p, "\n");
    return r;
}

int plain_render(struct prompt *p, const struct chat_turn *turns, size_t n, bool answer)
{
    struct plain_translation translation;
    const bool system = turns[0].role == CHAT_ROLE_SYSTEM;
    int r = 0;

    if (answer && plain_find_translation(turns[n - 1].text, turns[n - 1].n, &translation))
        return render_translation(p, &translation);
    if (system) {
        const struct gguf_string s = prompt_trim(turns[0].text, turns[0].n);
        r = prompt_text(p, s.bytes, s.n);
        if (r == 0) r = put(p, "\n\n");
    }
    if (r == 0) r = put(p, questions);
    for (size_t i = system; r == 0 && i < n; i++)
        r = turns[i].role == CHAT_ROLE_MODEL ? put_answer(p, &turns[i])
                                             : put_line(p, "Q", turns[i].text, turns[i].n);
    return r == 0 && answer ? put(p, "A:") : r;
}
