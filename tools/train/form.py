# SPDX-License-Identifier: Apache-2.0
"""The prompt form tools-v1 (docs/TOOLS.md): a conversation as texts and control tokens, and as token ids."""
import json

CONTROL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<tools>", "<call>", "<result>"]
PAD, EOS, BOS, UNK, START, END, TOOLS, CALL, RESULT = range(len(CONTROL))

# Jinja, for other programs; hearth does not interpret it. `tools` is a list of OpenAI's function objects.
TEMPLATE = """{{ bos_token }}{% set ns = namespace(head='') %}
{%- if messages[0].role == 'system' %}{% set ns.head = messages[0].content | trim + '\\n\\n' %}{% set messages = messages[1:] %}{% endif %}
{%- if tools %}{% set ns.head = ns.head + '<tools>' %}{% for t in tools %}{% set f = t.function %}{% set args = [] %}
{%- for a in f.parameters.properties %}{% set _ = args.append(a + ('' if a in f.parameters.required else '?')) %}{% endfor %}
{%- set ns.head = ns.head + f.name + '(' + args | join(',') + ')\\n' %}{% endfor %}{% set ns.head = ns.head + '\\n' %}{% endif %}
{%- for m in messages %}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else 'user') + '\\n' }}
{%- if loop.first %}{{ ns.head }}{% endif %}{% if m.role == 'tool' %}{{ '<result>' }}{% endif %}
{%- for c in m.tool_calls or [] %}{{ '<call>{"name":"' + c.function.name + '","arguments":' + c.function.arguments + '}\\n' }}{% endfor %}
{{- (m.content or '') | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""


def dumps(x):
    return json.dumps(x, ensure_ascii=False, separators=(",", ":"))


def tool_line(tool, name=None):
    """A tool on one line: its name (or another @name) and arguments, ? after those that may be left out."""
    p = tool["parameters"]
    return "%s(%s)" % (name or tool["name"], ",".join(a if a in p["required"] else a + "?" for a in p["properties"]))


def own_name(conversation, name):
    """The name in tools.json of a tool that the conversation offers as @name."""
    return conversation.get("renamed", {}).get(name, name)


def head(conversation, tools):
    """What stands before the first user's text: parts, each a text or the id of a control token."""
    out = [conversation["system"].strip() + "\n\n"] if conversation["system"] else []
    if conversation["tools"]:
        out += [TOOLS, "\n".join(tool_line(tools[own_name(conversation, n)], n) for n in conversation["tools"]) + "\n\n"]
    return out


def answer(turn):
    """A model's turn as parts, without its end."""
    out = []
    for c in turn["calls"]:
        out += [CALL, dumps({"name": c["name"], "arguments": c["arguments"]}) + "\n"]
    return out + ([turn["text"]] if turn["text"] else [])


def parts(conversation, tools, n_turns=None):
    """The conversation as [(parts, learn)]. @n_turns: only the first ones, and then the beginning of the model's answer."""
    out = [([BOS], False)]
    for i, t in enumerate(conversation["turns"][:n_turns]):
        first = head(conversation, tools) if i == 0 else []
        if t["role"] == "model":
            out += [([START, "model\n"], False), (answer(t) + [END], True), (["\n"], False)]
        else:
            mark = [RESULT] if t["role"] == "tool" else []
            out += [([START, "user\n"] + first + mark + [t["text"].strip(), END, "\n"], False)]
    return out + ([([START, "model\n"], False)] if n_turns is not None else [])


def encode(sp, pieces):
    """Token ids of parts. Adjacent texts are encoded as one, as hearth does."""
    ids, text = [], ""
    for p in pieces + [None]:
        if isinstance(p, str):
            text += p
            continue
        if text:
            ids += sp.EncodeAsIds(text)
            text = ""
        if p is not None:
            ids.append(p)
    return ids


def tokens(sp, conversation, tools):
    """(ids, learn): learn[i] is 1 where token i is part of an answer."""
    ids, learn = [], []
    for p, flag in parts(conversation, tools):
        x = encode(sp, p)
        ids += x
        learn += [int(flag)] * len(x)
    return ids, learn


def prompt(sp, conversation, tools, n_turns):
    """Ids of the first @n_turns turns and the beginning of the answer."""
    return encode(sp, [x for p, _ in parts(conversation, tools, n_turns) for x in p])


def parse(sp, ids):
    """What a model said: (calls or None where one is no JSON of the form, text)."""
    calls, text, i = [], [], 0
    ids = [x for x in ids if x not in (END, EOS)]
    while i < len(ids):
        if ids[i] != CALL:
            text.append(ids[i])
            i += 1
            continue
        j = i + 1
        while j < len(ids) and ids[j] != CALL and "\n" not in sp.DecodeIds([ids[j]]):
            j += 1
        try:
            c = json.loads(sp.DecodeIds(ids[i + 1:j]))
            good = isinstance(c, dict) and set(c) == {"name", "arguments"} and isinstance(c["arguments"], dict)
            calls.append(c if good else None)
        except ValueError:
            calls.append(None)
        i = j + (j < len(ids) and ids[j] != CALL)
    return calls, sp.DecodeIds(text).strip()
