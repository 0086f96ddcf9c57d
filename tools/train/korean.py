# SPDX-License-Identifier: Apache-2.0
"""Korean word forms that the data needs: particles, numbers in words, verbs before 고."""

SINO = "영일이삼사오육칠팔구"
NATIVE = " 하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열".split(" ")
HOURS = " 한 두 세 네 다섯 여섯 일곱 여덟 아홉 열 열한 열두".split(" ")
# Particle after a vowel, after a consonant. "로" follows a final ㄹ like a vowel.
PARTICLES = {"을": "를을", "를": "를을", "이": "가이", "가": "가이", "은": "는은", "는": "는은", "와": "와과"}
LONG = {"으로": ("로", "으로"), "로": ("로", "으로"), "랑": ("랑", "이랑"), "라고": ("라고", "이라고")}
FINALS_EN = "bcdgkpt"  # a Latin word ending in these is taken to end in a consonant, as l, m, n
LETTER_FINAL = {"l": 8, "m": 16, "n": 4, "r": 8}
DIGIT_FINAL = {"0": 21, "1": 8, "2": 0, "3": 16, "4": 0, "5": 0, "6": 1, "7": 8, "8": 8, "9": 0}


def final(word):
    """Index of the final consonant of the last sound of @word, 0 if there is none; 8 is ㄹ."""
    for c in reversed(word):
        if "가" <= c <= "힣":
            return (ord(c) - 0xAC00) % 28
        if c in DIGIT_FINAL:
            return DIGIT_FINAL[c]
        low = c.lower()
        if low.isascii() and low.isalpha():
            return LETTER_FINAL.get(low, 1 if low in FINALS_EN else 0)
    return 0


def particle(before, p):
    """The form of particle @p (either form names it) after the text @before."""
    f = final(before)
    if p in ("으로", "로"):
        return LONG[p][0 if f in (0, 8) else 1]
    if p in LONG:
        return LONG[p][0 if f == 0 else 1]
    return PARTICLES[p][0 if f == 0 else 1]


def sino(n):
    """@n in 0..9999 in Sino-Korean words: 22 is 이십이."""
    if n == 0:
        return SINO[0]
    out = ""
    for unit, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        d, n = divmod(n, unit)
        if d:
            out += (SINO[d] if d > 1 or unit == 1 else "") + name
    return out


# Verb in its 아/어 form (as before 줘) -> as before 고. The last syllables decide; the longest entry that fits.
BEFORE_KO = {
    "켜": "켜", "꺼": "끄", "틀어": "틀", "열어": "열", "닫아": "닫", "올려": "올리", "내려": "내리", "낮춰": "낮추", "높여": "높이",
    "맞춰": "맞추", "해": "하", "바꿔": "바꾸", "줄여": "줄이", "키워": "키우", "걸어": "걸", "보내": "보내", "알려": "알려 주",
    "잠가": "잠그", "풀어": "풀", "멈춰": "멈추", "찾아": "찾", "읽어": "읽", "깨워": "깨우", "넣어": "넣", "적어": "적", "지워": "지우",
    "없애": "없애", "가": "가", "들러": "들르", "받아": "받", "끊어": "끊", "걷어": "걷", "쳐": "치", "막아": "막", "데워": "데우",
    "들려": "들려 주", "나게": "나게", "돌아가": "돌아가", "넘겨": "넘기", "건너뛰어": "건너뛰", "남겨": "남기", "보여": "보여 주",
    "전해": "전하", "나와": "나오", "춰": "추", "돼": "되", "시켜": "시키", "돌려": "돌리", "놔": "놓", "놓아": "놓", "둬": "두", "끝내": "끝내",
    "봐": "보", "눌러": "누르", "잡아": "잡", "섞어": "섞", "만들어": "만들", "채워": "채우", "젖혀": "젖히", "잠궈": "잠구", "담아": "담",
    "닦아": "닦", "찍어": "찍", "재": "재", "울려": "울리", "따": "따", "세워": "세우", "버려": "버리", "밀어": "밀", "덥혀": "덥히",
    "물들여": "물들이", "떨어뜨려": "떨어뜨리", "식혀": "식히", "꾸며": "꾸미", "골라": "고르", "움직여": "움직이", "옮겨": "옮기",
    "살려": "살리", "모셔": "모시", "빼": "빼", "세어": "세", "챙겨": "챙기", "가려": "가리", "불러": "부르", "깎아": "깎",
}


def before_ko(base):
    """@base ends in a verb's 아/어 form. Return: the text as it stands before 고, or None for a verb that is not listed."""
    for n in range(4, 0, -1):
        if base[-n:] in BEFORE_KO:
            return base[:-n] + BEFORE_KO[base[-n:]]
    return None
