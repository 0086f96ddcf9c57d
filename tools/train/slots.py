# SPDX-License-Identifier: Apache-2.0
"""Draws values for slots: what the call has and how it is said."""
import functools
import re

import grammar
import korean

ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen").split()
TENS = "x x twenty thirty forty fifty sixty seventy eighty ninety".split()
INITIAL, VOWEL, END = "b d f g h j k l m n p r s t v w z br dr gr kr tr st".split(), "a e i o u ai ea oo".split(), ["", "n", "r", "s", "l", "m", "x", "t"]
NOUNS = ("thing", "food", "place", "room", "object", "closable", "lost", "person", "wash", "pain")  # lists of phrases.txt
TITLES = "과장님 대리님 부장님 차장님 선생님 교수님 원장님 소장님 씨 이모 삼촌 아저씨".split()  # behind a family name
COMMON = ["가", "나", "다", "라", "마", "바", "사", "아", "자", "하", "기", "니", "리", "미", "비", "시", "이", "지", "희", "도", "로", "모", "보",
          "소", "오", "조", "호", "구", "두", "무", "부", "수", "우", "주", "후", "강", "동", "송", "진", "현", "은", "영", "정", "선", "문", "별", "솔", "슬"]


def words(n):
    """@n in 0..99 in English words."""
    if n < 20:
        return ONES[n]
    return TENS[n // 10] + ("-" + ONES[n % 10] if n % 10 else "")


def plain(x):
    return int(x) if float(x) == int(x) else x


class Values:
    """All slots of one split and language; @rng decides."""

    def __init__(self, split, rng):
        self.split, self.rng = split, rng
        self.closed, self.free = grammar.values()
        self.pairs, self.lists = grammar.phrases()
        self.common, self.talk = common_words()
        self.others = {v for (_, _, other), some in self.free.items() if other != split for v in some}  # of other splits

    def number(self, slot, candidates):
        """One of @candidates that belongs to the split."""
        while True:
            v = plain(self.rng.choice(candidates))
            if grammar.number_split(slot, v) == self.split:
                return v

    def say(self, v, lang, unit=True):
        """A number as it is said: mostly digits, sometimes words."""
        if isinstance(v, int) and 0 <= v < 100 and self.rng.random() < 0.3:
            return words(v) if lang == "e" else korean.sino(v)
        return str(v)

    def made_up(self, lang):
        """
        A word that means nothing, so that copying is learnt and not the list of names. A part of it may be a word that
        commands are made of: that is copied, too; in training all of it, whole or in pieces, and there may be two words.
        """
        r = self.rng
        if self.split == "train" and lang == "k" and r.random() < 0.15:
            return self.made_of(lang) + " " + self.made_of(lang)
        if self.split == "train" and r.random() < 0.25:
            return self.made_of(lang)
        while True:
            known = r.choice(self.common[lang]) if self.split == "train" and r.random() < 0.3 else ""
            if lang == "e":
                w = "".join(r.choice(INITIAL) + r.choice(VOWEL) for _ in range(r.randint(1, 3))) + r.choice(END)
                w = w.capitalize()
                w = r.choice((f"{known} {w}", f"{w} {known}", known + w.lower())) if known else w
                w = w[0].upper() + w[1:]
            else:
                pick = lambda: r.choice(COMMON) if r.random() < 0.6 else chr(0xAC00 + r.choice(RANGE))
                w = "".join(pick() for _ in range(r.choice((1, 1, 2)) if known else r.choice((2, 2, 3, 3, 4))))
                w = r.choice((known + w, w + known)) if known else w
            if len(w) > 1 and w not in self.others and grammar.number_split("word", w) == self.split:
                return w

    def made_of(self, lang):
        """One of the words that texts of training are made of, or up to three pieces of some."""
        r = self.rng
        while True:
            if r.random() < 0.4:
                w = r.choice(self.common[lang])
            else:
                some = [r.choice(self.common[lang]) for _ in range(r.randint(1, 3))]
                w = "".join(x[i:i + r.randint(1, 3)] for x in some for i in [r.randrange(len(x))])
            w = w.capitalize()
            if len(w) > 1 and w not in self.others and grammar.number_split("word", w) == "train":
                return w

    def text(self, slot, lang):
        """A free value: from the list of the split, or made up."""
        r = self.rng
        if slot == "msg":
            return self.message(lang)
        pool = self.free[(slot, lang, self.split)]
        roll = r.random() * (0.55 if self.split == "train" else 1)  # more made up ones, so that copying is learnt
        if self.split == "train" and slot == "city" and roll < 0.25:
            return self.made_up(lang)
        if self.split == "train" and slot == "name" and lang == "k" and roll < 0.04:
            return f"{chr(0xAC00 + r.choice(RANGE))} {r.choice(TITLES)}"
        if slot == "name" and roll < 0.35:
            return self.made_up(lang) + (" " + self.made_up(lang) if lang == "e" and roll < 0.08 else "")
        if slot in ("place", "title", "item") and roll < 0.3:
            w = self.made_up(lang)
            tails = {"e": {"place": ("Street", "Hotel", "Station", "Park"), "title": ("songs", "by " + self.made_up("e")), "item": ("sauce", "cheese")},
                     "k": {"place": ("역", "호텔", "공원", " 시장"), "title": (" 노래", " 음악"), "item": (" 소스", " 과자")}}[lang][slot]
            if self.split == "train" and lang == "k" and slot == "place":
                tails += (" 호텔", " 역", "구청", " 공원", " 식당", "대학교")
            n = str(self.number("house", list(range(1, 300)))) if slot == "place" and r.random() < 0.2 else ""
            tail = r.choice(tails) if r.random() < 0.6 else ""
            if lang == "e":
                return " ".join(filter(None, (n, w, tail)))
            return w + tail + (" " + n if n else "")
        if slot == "todo" and self.split == "train" and r.random() < 0.4:
            forms = {"e": ("buy {item}", "call {name}", "pick up {item}", "meet {name}", "go to {place}", "look for {item}", "visit {name}", "ask {name}"),
                     "k": ("{item} 사기", "{name}에게 전화하기", "{item} 챙기기", "{name} 만나기", "{place} 가기", "{item} 찾기", "{name}에게 물어보기")}
            made = re.sub(r"\{(\w+)\}", lambda m: self.text(m.group(1), lang), r.choice(forms[lang]))
            return made if made not in self.others else r.choice(pool)
        return r.choice(pool)

    def message(self, lang):
        """What a text message says: a phrase of the house and the road, without its full stop; in training also other talk, or any words."""
        if self.split == "train" and self.rng.random() < 0.35:
            return self.rng.choice(self.talk[lang])
        if self.split == "train" and lang == "k" and self.rng.random() < 0.2:
            return " ".join(self.made_of(lang) for _ in range(self.rng.randint(2, 5)))
        while True:
            e, k, _ = self.phrase()
            t = e if lang == "e" else k
            if "?" not in t and len(t) < 44:
                t = t.rstrip(".")
                return t[0].lower() + t[1:] if lang == "e" and not t.startswith("I ") else t

    def phrase(self):
        """
        (English, Korean, {language: other ways to say it}) of the split: a template with values that only this split combines. In
        training now and then a noun alone.
        """
        if self.split == "train" and self.rng.random() < 0.08:
            e, k = self.rng.choice(self.lists[self.rng.choice(NOUNS)])
            return e[0].upper() + e[1:], k, {"e": [], "k": []}
        while True:
            e, k, *more = self.rng.choice(self.pairs)
            key, others = e, dict(zip("ek", more))
            for slot in dict.fromkeys(re.findall(r"\{(\w+)\}", e)):
                a, b = self.rng.choice(self.lists[slot])
                e, k, key = e.replace("{%s}" % slot, a), k.replace("{%s}" % slot, b), key + "|" + a
                others = {lang: [x.replace("{%s}" % slot, b if lang == "k" else a) for x in some] for lang, some in others.items()}
            if "|" not in key and self.split != "train":
                continue  # a phrase without values is one combination: it is for training
            if "|" in key and grammar.number_split("phrase", key) != self.split:
                continue
            return e[0].upper() + e[1:], fix(k), {"e": [x[0].upper() + x[1:] for x in others["e"]], "k": [fix(x) for x in others["k"]]}

    def duration(self, lang):
        r, part = self.rng, {}
        kind = r.random()
        if kind < 0.55:
            part["minutes"] = self.number("minutes", list(range(1, 60)))
        elif kind < 0.7:
            part["seconds"] = self.number("seconds", list(range(5, 60)))
        elif kind < 0.85:
            part["hours"] = r.randint(1, 12)
        elif kind < 0.93:
            part["hours"] = r.randint(1, 5)
            part["minutes"] = self.number("minutes", list(range(1, 60)))
        else:
            part["minutes"] = self.number("minutes", list(range(1, 60)))
            part["seconds"] = self.number("seconds", list(range(5, 60)))
        if lang == "e":
            said = (" and " if r.random() < 0.5 else " ").join(
                f"{self.say(v, lang)} {u if v > 1 else u[:-1]}" for u, v in part.items())
        else:
            unit = {"hours": "시간", "minutes": "분", "seconds": "초"}
            said = " ".join((korean.HOURS[v] + " " if u == "hours" and r.random() < 0.4 else self.say(v, lang)) + unit[u] for u, v in part.items())
        return part, said

    def time(self, lang):
        r = self.rng
        h = r.randrange(24)
        m = 0 if r.random() < 0.4 else self.number("minute", list(range(5, 60, 5)) + list(range(1, 60)))
        if m and r.random() < 0.15:
            m = 30
        value, h12 = f"{h:02d}:{m:02d}", (h - 1) % 12 + 1
        half = "am" if h < 12 else "pm"
        if lang == "e":
            part = "in the morning" if h < 12 else "in the afternoon" if h < 18 else "in the evening"
            forms = [f"{h12}{':%02d' % m if m else ''} {half}", f"{h12}:{m:02d} {half}", f"{h12}{':%02d' % m if m else ''} {part}"]
            if h > 9:
                forms.append(value)
            if m == 30:
                forms.append(f"half past {words(h12)} {part}")
            if m == 15:
                forms.append(f"quarter past {words(h12)} {part}")
            if m == 0:
                forms += [f"{words(h12)} {half}", f"{words(h12)} o'clock {part}"]
            return value, r.choice(forms)
        part = ["오전", "아침" if 5 <= h < 11 else "오전", "새벽" if h < 5 else "오전"] if h < 12 else ["오후", "저녁" if 18 <= h < 22 else "오후", "밤" if h >= 21 else "오후"]
        p = r.choice(part)
        mm = "" if m == 0 else " 반" if m == 30 and r.random() < 0.5 else f" {m}분"
        forms = [f"{p} {h12}시{mm}", f"{p} {h12}시{mm}", f"{p} {korean.HOURS[h12]} 시{mm}", f"{p} {korean.HOURS[h12]}시{mm}"]
        if h > 12:
            forms.append(f"{h}시{mm}")
        return value, r.choice(forms)

    def draw(self, slot, lang):
        """Return: (value of the argument, or a dict of arguments; how it is said)."""
        r = self.rng
        if slot in self.closed:
            v, e, k = r.choice(self.closed[slot])
            said = r.choice(e if lang == "e" else k)
            return {"true": True, "false": False}.get(v, v), said
        if slot == "temp":
            v = self.number("temp", [t / 2 for t in range(32, 61)] + list(range(16, 30)) * 3)
        elif slot in ("up", "down"):
            v = r.choice((1, 2, 2, 3, 4, 5))
            said = self.say(v, lang)
            return (v if slot == "up" else -v), said
        elif slot == "fan":
            v = r.randint(1, 7)
        elif slot == "lv3":
            v = r.randint(1, 3)
        elif slot == "pct":
            v = self.number("pct", list(range(5, 100, 5)) * 3 + list(range(1, 100)))
        elif slot == "mhz":
            v = self.number("mhz", [x / 10 for x in range(875, 1080)])
        elif slot == "num":
            v = self.number("num", list(range(2, 900)))
        elif slot == "dur":
            return self.duration(lang)
        elif slot == "time":
            return self.time(lang)
        else:
            t = self.text(slot, lang)
            return t, t
        return v, self.say(v, lang)


@functools.cache
def common_words():
    """({language: words that commands of training and closed values are made of}, {language: whole texts that are said and no command})."""
    words, talk = {"e": set(), "k": set()}, {"e": [], "k": []}
    for some in grammar.phrases()[1].values():
        for e, k in some:
            words["e"].update(re.findall("[a-z]{3,9}", e))
            words["k"].update(re.findall("[가-힣]{2,4}", k))
    for forms in grammar.values()[0].values():
        for _, e, k in forms:
            words["e"].update(re.findall("[a-z]{3,9}", " ".join(e)))
            words["k"].update(re.findall("[가-힣]{2,4}", " ".join(k)))
    for b in grammar.blocks("commands.txt") + grammar.blocks("talk.txt"):
        for x in b.lines:
            if x.split != "train":
                continue
            words[x.lang].update(re.findall({"e": "[a-z]{3,9}", "k": "[가-힣]{2,3}"}[x.lang], re.sub(r"\{\w+\}", " ", x.text)))
            if b.head[0] in ("say", "scope") and re.fullmatch(r"[\w' ]{5,44}", x.text):
                talk[x.lang].append(x.text)
    return {k: sorted(v) for k, v in words.items()}, talk


def _ksx():
    """Syllables of KS X 1001, those that Korean text is written with, as offsets from U+AC00."""
    out = []
    for c in range(0xAC00, 0xD7A4):
        if len(chr(c).encode("euc-kr", "replace")) == 2:  # others are spelled in 8 bytes
            out.append(c - 0xAC00)
    return out


RANGE = _ksx()


def fix(text):
    """Put Korean particles (%을) in their form."""
    while (m := re.search(r"%(으로|라고|[을를이가은는와랑로])", text)):
        text = text[:m.start()] + korean.particle(text[:m.start()], m.group(1)) + text[m.end():]
    return text
