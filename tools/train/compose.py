# SPDX-License-Identifier: Apache-2.0
"""Conversations from the grammar: commands, follow-ups, talk, translations, with the calls and replies that are right.

A conversation: {"lang", "split", "system": facts of the user or "", "tools": names offered, "turns": [...]}. A turn is
{"role": "user", "text"}, {"role": "tool", "text": JSON} or {"role": "model", "calls": [{"name", "arguments"}], "text",
"kind", "slots": what was filled in}. "renamed", if there, has the tools' own names by those that they have in it
(form.own_name). docs/TOOLS.md says how that becomes a prompt.
"""
import itertools
import json
import random
import re

import grammar
import korean
from slots import Values, fix

HEAVY = {"navigate": 3, "call": 3, "message_send": 4, "reminder_add": 3, "alarm_set": 3, "timer_start": 3, "climate_temperature": 2,
         "home_light": 2, "home_device": 2, "window_set": 1.5, "weather": 2, "media_play": 2, "shopping_add": 2, "nav_add_stop": 2}
TRAINED = {**HEAVY, "call": 4, "message_send": 6, "nav_add_stop": 3, "weather": 4, "media_play": 4, "volume_mute": 2, "alarm_cancel": 1.5}
ANSWERS = ("weather", "vehicle_status", "nav_eta", "nav_traffic", "timer_left", "message_read", "reminder_list")  # tools that answer
NOT_KNOWN = {"name": {"e": "I don't know who that is.", "k": "누구인지 아직 몰라요."},
             "place": {"e": "I don't know where that is.", "k": "어디인지 아직 몰라요."}}
# What a turn that needs nothing before it is, as shares; in training there is more of what is hard to learn.
FRESH = {"personal": 25, "command": 26, "several": 13, "ask": 3, "favourite": 2, "absent": 9, "scope": 9, "say": 6, "translate": 7}
FRESH_TRAINED = {"personal": 24, "command": 18, "several": 18, "ask": 2, "favourite": 2, "absent": 8, "scope": 14, "say": 5, "translate": 9}
RENAMED = 0.25  # of the groups of training
HALVES = 0.15  # of the groups of training: commands of which the tools of one half are there, and nothing else
AFFIXES = "my car do new x the go hq one v2 ba kor tu mi set run app our on up".split()
SKY = (("sunny", "Sunny", "맑음"), ("cloudy", "Cloudy", "흐림"), ("rain", "Rain", "비"), ("snow", "Snow", "눈"), ("wind", "Windy", "바람"))
OPEN = ("{msg}", "{todo}")  # values that go on to the end of what is said: nothing may stand behind them

def guarded(text):
    return "\x01" + text + "\x02"


def bare(text):
    return text.replace("\x01", "").replace("\x02", "")


class Composer:
    """Conversations of one split; the same @seed gives the same ones."""

    def __init__(self, split, seed, guards=False, share=1.0):
        """
        @guards: leave \\x01 and \\x02 around values in the users' texts, for the tokenizer's training. @share: use so much
        of the templates of training.
        """
        self.guards = guards
        self.split, self.rng = split, random.Random(f"{split}:{seed}")
        self.values = Values(split, self.rng)
        self.tools = grammar.tools()
        self.commands, talk = (grammar.thinned(grammar.blocks(name), share) for name in ("commands.txt", "talk.txt"))
        self.talk = {}
        for b in talk:
            self.talk.setdefault(b.head[0], []).append(b)
        self.wraps = {b.head[0]: b for b in grammar.blocks("wrap.txt")}
        self.asks = {b.head[1]: b for b in grammar.blocks("asks.txt")}
        train = split == "train"
        self.heavy, self.shares = (TRAINED, FRESH_TRAINED) if train else (HEAVY, FRESH)
        self.following, self.seldom = (0.75, 5) if train else (0.6, 2)  # how often a turn goes on from the one before, and weight of its rarer ways
        self.refusal = {k: self.talk["scope"][0].replies[k][0] for k in "ek"}

    # ---- texts ----

    def fill(self, text, lang, facts=None, known=None):
        """Fill the slots of a template. @known: slots whose (value, said) is given. Return (text, {slot: (value, said)})."""
        got = {}
        text = grammar.choose(text, self.rng)
        for slot in re.findall(r"\{(\w+)\}", text):
            if known and slot in known:
                got[slot] = known[slot]
            elif slot not in got:
                got[slot] = self.personal(slot, lang, facts) or self.values.draw(slot, lang)
            said = got[slot][1]
            text = text.replace("{%s}" % slot, said if slot in self.values.closed else guarded(said), 1)
        return fix(text), got

    def personal(self, slot, lang, facts):
        """A name or place by what it is to the user: "my wife". The value is None if the facts do not have it."""
        kind = {"name": "relation", "place": "spot"}.get(slot)
        if not kind or facts is None or self.rng.random() > ((0.6 if self.split == "train" else 0.45) if facts else 0.1):
            return None
        if facts and self.rng.random() < (0.7 if self.split == "train" else 0.85):
            own = [x for x in self.values.closed[kind] if x[0] in facts]
            if not own:
                return None
            key, e, k = self.rng.choice(own)
        else:
            key, e, k = self.rng.choice(self.values.closed[kind])
        return facts.get(key), self.rng.choice(e if lang == "e" else k)

    def ending(self):
        lines = [x for x in self.wraps["ending"].lines if x.split == "train"]
        own = [x for x in self.wraps["ending"].lines if x.split == self.split]
        line = self.rng.choice(own if self.rng.random() < 0.4 else lines)
        return "" if self.rng.random() < 0.15 else " 줘" if self.rng.random() < 0.35 else line.text[1:]

    def finish(self, text, lang, command, open_end=False):
        """What a person says around a command, case, stops, and what goes wrong when speaking and typing."""
        r = self.rng
        text = text.replace("~", self.ending()) if lang == "k" else text
        if command and r.random() < 0.4:
            around = [x.text for x in self.wraps["around"].of(lang, self.split)]
            if open_end:
                around = [x for x in around if x.endswith("{c}")]
            text = r.choice(around).replace("{c}", text)
        if r.random() < (0.2 if lang == "k" and self.split == "train" else 0.12):
            text = self.noise(text, lang)
        text = text.strip(" ,")
        if lang == "e" and r.random() < 0.5:
            text = text[0].upper() + text[1:]  # not what a call copies: that begins with a guard
        if text[-1] not in ".?!" and text.find(":") < 0 and r.random() < (0.35 if lang == "e" else 0.2):
            text += "?" if re.match(r"(?i)(can|could|would|what|how|where|when|is|do|will) ", text) else "."
        text = re.sub(r"\s+", " ", text)
        return text if self.guards else bare(text)

    def noise(self, text, lang):
        r = self.rng
        filler = r.choice(self.wraps["noise"].of(lang, "train")).text
        kind = r.random()
        if kind < 0.35:
            return filler + r.choice((", ", " ")) + text
        parts = re.split("(\x01[^\x02]*\x02)", text)  # values stay as they are
        at = r.choice([i for i, p in enumerate(parts) if p and p[0] != "\x01"] or [0])
        if not parts[at] or parts[at][0] == "\x01":
            return text
        p = parts[at]
        if kind < 0.5:
            w = p.split(" ")
            w.insert(r.randint(0, len(w)), f" {filler} ")
            parts[at] = " ".join(w)
        elif lang == "k":
            parts = [x if x[:1] == "\x01" else x.replace(" ", "") for x in parts] if kind < 0.85 else parts
        elif len(p) > 3:
            i = r.randrange(1, len(p) - 1)
            if p[i - 1:i + 1].isalpha():
                parts[at] = p[:i - 1] + p[i] + p[i - 1] + p[i + 1:] if kind < 0.75 else p[:i] + p[i + 1:]
        return "".join(parts)

    # ---- commands ----

    def pick(self, lang, among=None, commands_only=False):
        """A block and one of its lines of the split."""
        while True:
            blocks = among or self.commands
            b = self.rng.choices(blocks, [self.heavy.get(x.head[0], 1) for x in blocks])[0]
            lines = [x for x in b.of(lang, self.split) if x.command or not commands_only]
            if lines:
                return b, self.rng.choice(lines)

    def call(self, block, got):
        """The call that the filled slots of a block make, in the order of the tool's schema."""
        name, args = block.head[0], dict(block.fixed)
        for arg, slot in block.args.items():
            if slot in got:
                if arg == "*":
                    args.update(got[slot][0])
                else:
                    args[arg] = got[slot][0]
        order = self.tools[name]["parameters"]["properties"]
        return {"name": name, "arguments": {k: args[k] for k in order if k in args}}

    def reply(self, block, got, lang):
        """The first reply whose slots are filled; a number is said in digits."""
        for text in block.replies[lang]:
            if all(s in got for s in re.findall(r"\{(\w+)\}", text)):
                for s, (value, said) in got.items():
                    number = isinstance(value, (int, float)) and not isinstance(value, bool)
                    text = text.replace("{%s}" % s, str(abs(value)) if number else said)
                return fix(text)
        return ""

    def unknown(self, got):
        return next((s for s, (v, _) in got.items() if v is None), None)

    def command(self, lang, facts, among=None):
        """A fresh command. Return a dict with all that a follow-up needs."""
        b, line = self.pick(lang, among)
        text, got = self.fill(line.text, lang, facts)
        out = dict(kind="command", blocks=[b], got=got, lang=lang, keys=[line.key],
                   user=self.finish(text, lang, line.command, line.text.endswith(OPEN)))
        missing = self.unknown(got)
        if missing:
            return dict(out, kind="unknown", calls=[], text=NOT_KNOWN[missing][lang])
        if b.head[0] == "alarm_set" and "time" not in got:
            raise SystemExit(f"no time in {line.text}")
        return dict(out, calls=[self.call(b, got)], text="" if b.head[0] in ANSWERS else self.reply(b, got, lang))

    def several(self, lang, facts, among=None):
        """Two or three commands in one sentence."""
        r, texts, calls, blocks, keys, words = self.rng, [], [], [], [], set()
        n = 3 if r.random() < 0.15 else 2
        for _ in range(60):
            b, line = self.pick(lang, among, commands_only=True)
            text, got = self.fill(line.text, lang, facts)
            last = len(texts) == n - 1
            open_end = line.text.endswith(OPEN)
            if b.head[0] in words or b.head[0] in ANSWERS or self.unknown(got) or (lang == "k" and not text.endswith("~")):
                continue
            if open_end and not last:
                continue
            if lang == "k" and not last:
                base = korean.before_ko(text[:-1]) if "\x02" not in text[-4:] else None
                if base is None:
                    continue
                text = base
            if self.split == "train" and texts and r.random() < 0.2:
                text = r.choice([x.text for x in self.wraps["around"].of(lang, "train") if x.text.endswith(" {c}")]).replace("{c}", text)
            texts.append(text)
            words.add(b.head[0])
            calls.append(self.call(b, got))
            blocks.append((b, got))
            keys.append(line.key)
            if last:
                break
        else:
            return None
        join = r.choice(self.wraps["join"].of(lang, self.split)).text
        text = texts[-1]
        for i, t in enumerate(reversed(texts[:-1])):
            text = join.replace("{a}", t).replace("{b}", text) if i == 0 else (f"{t}, {text}" if lang == "e" else f"{t}고 {text}")
        said = {"e": "Okay.", "k": "네."}[lang]
        return dict(kind="several", blocks=[b for b, _ in blocks], got={}, lang=lang, keys=keys, calls=calls, text=said,
                    user=self.finish(text, lang, True, open_end))

    # ---- follow-ups ----

    def follow(self, prev, lang):
        """A turn that only makes sense after @prev, or None."""
        if prev["kind"] not in ("command", "correct", "also", "opposite", "answer") or len(prev["calls"]) != 1:
            return None
        b, got = prev["blocks"][0], prev["got"]
        ways = [(t, x.head[1]) for t in ("correct", "also") for x in self.talk[t] if x.head[1] in got]
        if "window" in got and got["window"][0] != "all":
            ways += [("other", "window")]
        if "onoff" in got:
            ways += [("opposite", "on")] * self.seldom
        if b.head[0].startswith("climate_t") and "temp" in got:
            ways += [("relative", "")] * self.seldom
        if not ways:
            return None
        way, slot = self.rng.choice(ways)
        return getattr(self, "_" + way)(b, got, slot, lang)

    def _line(self, way, slot, lang):
        b = next(x for x in self.talk[way] if slot in ("", *x.head[1:]))
        return self.rng.choice(b.of(lang, self.split))

    def _renew(self, way, b, got, slot, lang):
        old = got[slot][0]
        for _ in range(50):
            new = self.values.draw(slot, lang)
            if new[0] != old:
                break
        line = self._line(way, slot, lang)
        text, _ = self.fill(line.text.replace("{v}", "{%s}" % slot), lang, known={slot: new})
        got = dict(got, **{slot: new})
        return dict(kind=way, blocks=[b], got=got, lang=lang, keys=[line.key], calls=[self.call(b, got)],
                    text="" if b.head[0] in ANSWERS else self.reply(b, got, lang), user=self.finish(text, lang, False))

    def _correct(self, b, got, slot, lang):
        return self._renew("correct", b, got, slot, lang)

    def _also(self, b, got, slot, lang):
        return self._renew("also", b, got, slot, lang)

    def _other(self, b, got, slot, lang):
        other = {"driver": "passenger", "passenger": "driver", "rear_left": "rear_right", "rear_right": "rear_left"}[got["window"][0]]
        line = self._line("other", "window", lang)
        got = dict(got, window=(other, ""))
        return dict(kind="correct", blocks=[b], got=got, lang=lang, keys=[line.key], calls=[self.call(b, got)],
                    text=self.reply(b, got, lang), user=self.finish(grammar.choose(line.text, self.rng), lang, False))

    def _opposite(self, b, got, slot, lang):
        on = not got["onoff"][0]
        said = {"e": ("off", "on"), "k": ("꺼", "켜")}[lang][on]
        line = self._line("opposite", "on", lang)
        got = dict(got, onoff=(on, said))
        text, _ = self.fill(line.text.replace("{v}", "{onoff}"), lang, known=got)
        return dict(kind="opposite", blocks=[b], got=got, lang=lang, keys=[line.key], calls=[self.call(b, got)],
                    text=self.reply(b, got, lang), user=self.finish(text, lang, False))

    def _relative(self, b, got, slot, lang):
        ways = [x for x in self.commands if x.head[0] == "climate_adjust"]
        b2 = self.rng.choice(ways)
        line = self.rng.choice([x for x in b2.of(lang, self.split) if "{zone}" not in x.text])
        text, new = self.fill(line.text, lang)
        if "zone" in got:
            new["zone"] = got["zone"]
        return dict(kind="relative", blocks=[b2], got=new, lang=lang, keys=[line.key], calls=[self.call(b2, new)],
                    text=self.reply(b2, new, lang), user=self.finish(text, lang, line.command))

    # ---- what needs no tool ----

    def ask(self, lang):
        """A command that lacks something, and the answer to the question. Return two turns."""
        b = self.rng.choice(self.talk["ask"])
        name, slot = b.head[1:]
        if not b.of(lang, self.split):
            return [self.command(lang, {})]
        line = self.rng.choice(b.of(lang, self.split))
        first = dict(kind="ask", blocks=[], got={}, lang=lang, keys=[line.key], calls=[], text=b.replies[lang][0], needs=name,
                     user=self.finish(grammar.choose(line.text, self.rng), lang, line.command))
        target = next(x for x in self.commands if x.head[0] == name and slot in x.args.values())
        known = {slot: self.values.draw(slot, lang)}
        text, got = self.fill(self.rng.choice(b.answers[lang]).replace("{v}", "{%s}" % slot), lang, known=known)
        return [first, dict(kind="answer", blocks=[target], got=got, lang=lang, keys=[], calls=[self.call(target, got)],
                            text=self.reply(target, got, lang), user=self.finish(text, lang, False))]

    def favourite(self, lang, facts):
        line = self.rng.choice(self.talk["favourite"][0].of(lang, self.split))
        b = next(x for x in self.commands if x.head[0] == "climate_temperature")
        out = dict(kind="favourite", blocks=[b], lang=lang, keys=[line.key], user=self.finish(grammar.choose(line.text, self.rng), lang, line.command))
        if "temp" not in facts:
            return dict(out, kind="ask", got={}, calls=[], text={"e": "How many degrees?", "k": "몇 도로 할까요?"}[lang])
        got = {"temp": (facts["temp"], str(facts["temp"]))}
        return dict(out, got=got, calls=[self.call(b, got)], text=self.reply(b, got, lang))

    def whoami(self, lang, facts):
        lines = self.talk["whoami"][0].of(lang, self.split)
        if not lines:
            return self.say(lang)
        line = self.rng.choice(lines)
        known = {"e": "Your name is %s.", "k": "%s님이에요."}[lang] % facts["user"] if "user" in facts else {"e": "I don't know that.", "k": "아직 몰라요."}[lang]
        return dict(kind="say", blocks=[], got={}, lang=lang, keys=[line.key], calls=[], text=known,
                    user=self.finish(grammar.choose(line.text, self.rng), lang, line.command))

    def say(self, lang):
        b = self.rng.choice(self.talk["say"])
        line = self.rng.choice(b.of(lang, self.split))
        text = grammar.choose(line.text, self.rng)
        return dict(kind="say", blocks=[], got={}, lang=lang, keys=[line.key], calls=[], text=b.replies[lang][0], user=self.finish(text, lang, False))

    def scope(self, lang):
        line = self.rng.choice(self.talk["scope"][0].of(lang, self.split))
        text, got = self.fill(line.text, lang)
        return dict(kind="scope", blocks=[], got=got, lang=lang, keys=[line.key], calls=[], text=self.refusal[lang],
                    user=self.finish(text, lang, line.command))

    def translate(self, lang):
        way = self.rng.choice(("ek", "ke"))
        e, k, others = self.values.phrase()
        source, target = (e, k) if way == "ek" else (k, e)
        if self.split == "train" and others[way[0]] and self.rng.random() < 0.35:
            source = self.rng.choice(others[way[0]])
        if self.rng.random() < 0.3:
            source = source.rstrip(".?")
        if way == "ek" and self.rng.random() < 0.4:
            source = source[0].lower() + source[1:]
        line = self.rng.choice(self.asks[way].of(lang, self.split))
        text = grammar.choose(line.text, self.rng).replace("{p}", guarded(source))
        user = text if self.guards else bare(text)
        return dict(kind="translate_" + way, blocks=[], got={}, lang=lang, keys=[line.key], calls=[], text=target, user=user, phrase=e)

    # ---- results of tools ----

    def result(self, call, lang):
        """What a tool answers, and what the model says then."""
        r, v, name, e = self.rng, self.values, call["name"], lang == "e"
        if name == "weather":
            sky, n = r.choice(SKY), v.number("celsius", list(range(-9, 38)))
            return {"sky": sky[0], "celsius": n}, f"{sky[1]}, {n} degrees." if e else f"{sky[2]}, {n}도예요."
        if name == "vehicle_status":
            unit = r.choice((("percent", "퍼센트"), ("km", "킬로미터"), ("kpa", "킬로파스칼")))
            n = v.number("reading", list(range(1, 900)))
            return {"value": n, "unit": unit[0]}, f"{n} {unit[0]}." if e else f"{n}{unit[1]}예요."
        if name == "nav_eta":
            t, n = v.time("e")[0], v.number("minutes", list(range(2, 180)))
            return {"time": t, "minutes": n}, f"At {t}, in {n} minutes." if e else f"{t}, {n}분 뒤예요."
        if name == "nav_traffic":
            n = v.number("minutes", list(range(1, 60)))
            return {"delay_minutes": n}, f"{n} minutes of delay." if e else f"{n}분 늦어져요."
        if name == "timer_left":
            m, s = v.number("minutes", list(range(1, 60))), v.number("seconds", list(range(1, 60)))
            return {"minutes": m, "seconds": s}, f"{m} minutes {s} seconds." if e else f"{m}분 {s}초 남았어요."
        if name == "message_read":
            n, t = v.text("name", lang), v.message(lang)
            return {"from": n, "text": t}, f"{n}: {t}"
        items = [v.text("todo", lang) for _ in range(r.randint(1, 3))]
        return {"items": items}, ", ".join(items) + "."

    # ---- conversations ----

    def facts(self, lang):
        """What the system prompt says of the user: ({key: value}, text)."""
        r, v = self.rng, self.values
        if r.random() < (0.4 if self.split == "train" else 0.55):
            return {}, ""
        f = {}
        keys = ["user", "temp"] + [x[0] for x in v.closed["relation"]] + [x[0] for x in v.closed["spot"]]
        for key in r.sample(keys, r.randint(1, 5)):
            spot = key in [x[0] for x in v.closed["spot"]]
            f[key] = v.draw("temp", lang)[0] if key == "temp" else v.text("place" if spot else "name", lang)
        names = {"user": ("user", "사용자"), "temp": ("favourite temperature", "좋아하는 온도")}
        for k in ("relation", "spot"):
            for key, e, ko in v.closed[k]:
                names[key] = (re.sub("^my ", "", e[0]), ko[0])
        style = r.choice((0, 0, 1, 2, 2, 4)) if self.split == "train" else 3
        mark = r.choice((" | ", " / ", "/", " > ", " ~ ", " :: ", ", ", "; "))
        if self.split == "train" and r.random() < 0.6:
            mark = r.choice((" -> ", " => ", " -- ", " : ", ":", "=", " * ", " + ", " _ ", " >> ", " is ", " | - | ", " . "))
        parts = []
        for key, value in f.items():
            n = names[key][lang == "k"]
            said = f"{value}도" if key == "temp" and lang == "k" else str(value)
            parts.append([f"{n}: {said}.", f"{n} = {said}", f"my {n} is {said}." if lang == "e" else f"{n}%은 {said}.",
                          f"the {n} is {said}." if lang == "e" else f"{n} - {said}.", n + mark + said][style])
        text = ("\n" if style in (1, 4) else " ").join(parts)
        return f, fix(text[0].upper() + text[1:])

    def offer(self, needed, absent):
        """Names of the tools that are offered: @needed, others, and never @absent."""
        r = self.rng
        others = [n for n in self.tools if n not in needed and n not in absent]
        roll = r.random()
        n = r.randint(1, 7) if roll < 0.6 else r.randint(8, 16) if roll < 0.92 else r.randint(20, len(others))
        names = sorted(needed) + r.sample(others, min(n, len(others)))
        r.shuffle(names)
        return names

    def fresh(self, lang, facts):
        """One or two turns that need nothing before them."""
        roll = 100 * self.rng.random()
        kind = next(k for k, end in zip(self.shares, itertools.accumulate(self.shares.values())) if roll < end)
        if kind == "personal" and facts:
            if "temp" in facts and self.rng.random() < 0.3:
                return [self.favourite(lang, facts)]
            return [self.command(lang, facts, [b for b in self.commands if b.head[0] in ("call", "message_send", "navigate", "nav_add_stop")])]
        if kind == "several":
            s = self.several(lang, facts)
            return [s] if s else [self.command(lang, facts)]
        if kind == "ask":
            return self.ask(lang)
        if kind == "favourite":
            return [self.favourite(lang, facts)]
        if kind == "absent":
            return [dict(self.command(lang, None), kind="absent")]
        if kind == "scope":
            return [self.scope(lang)]
        if kind == "say":
            return [self.whoami(lang, facts) if self.rng.random() < 0.15 else self.say(lang)]
        return [self.translate(lang)] if kind == "translate" else [self.command(lang, facts)]

    def conversation(self):
        return self.group(1, (40, 25, 18, 17), 0.12)[0]

    def group(self, n, lengths, translations):
        """
        @n conversations with one user and one list of tools, which then stands once before all of them (batches.py).
        @lengths: weights of 1, 2, 3 and 4 turns. @translations: share of groups that have nothing else.
        """
        r = self.rng
        lang = r.choice("ek")
        if r.random() < translations:
            some = [[self.translate(r.choice((lang, lang, "e", "k"))) for _ in range(r.choices((1, 2, 3, 4), lengths)[0])] for _ in range(n)]
            return self.pack(lang, "", some, r.random() < 0.3)
        if self.split == "train" and r.random() < HALVES:
            some = [[self.command(lang, None)] for _ in range(n + 1)]
            names = sorted({c["name"] for turns in some for t in turns for c in t["calls"]})
            return self.pack(lang, "", some, True, r.sample(names, (len(names) + 1) // 2))
        facts, system = self.facts(lang)
        return self.pack(lang, system, [self.turns(lang, facts, lengths) for _ in range(n)], True)

    def turns(self, lang, facts, lengths):
        r = self.rng
        n, turns = r.choices((1, 2, 3, 4), lengths)[0], []
        while len(turns) < n:
            follow = self.follow(turns[-1], lang) if turns and r.random() < self.following else None
            turns += [follow] if follow else self.fresh(lang, facts)
        return turns[:4]

    def pack(self, lang, system, some, tools, only=None):
        """
        Lists of turns to conversations; offers the tools that are called and not those that must be absent.
        @only: names of the tools that are offered, all others are absent.
        """
        every = [t for turns in some for t in turns]
        if only is not None:
            for t in every:
                if any(c["name"] not in only for c in t["calls"]):
                    t["kind"] = "absent"
        absent = {c["name"] for t in every if t["kind"] == "absent" for c in t["calls"]}
        needed = {c["name"] for t in every if t["kind"] != "absent" for c in t["calls"]} | {t["needs"] for t in every if "needs" in t}
        needed |= {b.head[0] for t in every if t["kind"] in ("ask", "unknown") for b in t["blocks"]}
        offered = only or self.offer(needed, absent - needed) if tools else []
        rows = [{"lang": lang, "split": self.split, "system": system, "tools": offered, "turns": self.packed(turns, lang, needed)} for turns in some]
        if self.split == "train" and self.rng.random() < RENAMED:
            self.rename(rows, offered)
        return rows

    def rename(self, rows, offered):
        """Give the tools other names: who has to read the list to know them sees what it does not have."""
        r = self.rng
        names = {n: r.choice((f"{n}{r.randrange(10)}", f"{n}_{r.choice(AFFIXES)}", f"{r.choice(AFFIXES)}_{n}")) for n in offered}
        for row in rows:
            row["tools"], row["renamed"] = [names[n] for n in offered], {v: k for k, v in names.items()}
            for t in row["turns"]:
                for c in t.get("calls", []):
                    c["name"] = names[c["name"]]

    def packed(self, turns, lang, needed):
        out = []
        for t in turns:
            calls, text, kind = t["calls"], t["text"], t["kind"]
            if kind == "absent":
                if calls and calls[0]["name"] in needed:
                    kind = "command"
                else:
                    calls, text = [], self.refusal[lang]
            out.append({"role": "user", "text": t["user"]})
            slots = {s: [v, said] for s, (v, said) in t["got"].items()}
            out.append({"role": "model", "calls": calls, "text": text, "kind": kind, "slots": slots, "templates": t["keys"],
                        **({"phrase": t["phrase"]} if "phrase" in t else {})})
            if len(calls) == 1 and calls[0]["name"] in ANSWERS and self.rng.random() < 0.5 and kind == "command":
                value, said = self.result(calls[0], lang)
                out.append({"role": "tool", "text": json.dumps(value, ensure_ascii=False, separators=(",", ":"))})
                out.append({"role": "model", "calls": [], "text": said, "kind": "result", "slots": {}, "templates": []})
        return out
