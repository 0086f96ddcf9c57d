# SPDX-License-Identifier: Apache-2.0
"""The model: transformers' Gemma3nForCausalLM holds the parameters, and a forward pass for training computes with them.

Fast.forward() computes what transformers computes (check_net.py compares them), with three things that it cannot do:
several conversations in one row with a beginning in common, FFN widths and skipped layers chosen per step (MatFormer), and the layers that make no
KV only for the positions whose logits are wanted: those of answers. That is exact, because nothing else reads them.
"""
import copy
import json
import os

import torch
import torch.nn.functional as F
from transformers import Gemma3nForCausalLM, Gemma3nTextConfig

HERE = os.path.dirname(os.path.abspath(__file__))


def load_config(path=os.path.join(HERE, "config.json")):
    with open(path) as f:
        return json.load(f)


def build(c, vocab, seed=1):
    """A new model for @c["model"] with @vocab tokens."""
    m = c["model"]
    cfg = Gemma3nTextConfig(
        vocab_size=vocab, vocab_size_per_layer_input=vocab, pad_token_id=0, eos_token_id=1, bos_token_id=2, attn_implementation="eager",
        layer_types=["full_attention" if i in c["full_attention"] else "sliding_attention" for i in range(m["num_hidden_layers"])],
        **{**m, "intermediate_size": [m["intermediate_size"]] * m["num_hidden_layers"]})
    model = Gemma3nForCausalLM(cfg).float()
    start(model, seed)
    return model


SMALL = {"post_attention_layernorm": 0.5, "post_feedforward_layernorm": 0.5, "post_laurel_norm": 0.3,
         "post_per_layer_input_norm": 0.3}


@torch.no_grad()
def start(model, seed):
    """First values. Norms after a sublayer begin below 1 and those of q and k so that scores have a deviation of 1 (the
    scale of attention is 1); the four streams begin as nearly the same one."""
    g, d = torch.Generator().manual_seed(seed), model.config.head_dim
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g)
        if p.dim() == 1:
            leaf = name.split(".")[-2]
            p.fill_(d ** -0.25 if leaf in ("q_norm", "k_norm") else SMALL.get(leaf, 1.0))
        elif "coefs" in name:
            p.copy_(0.1 * noise)
        elif "modality_router" in name:
            p.copy_(0.5 * noise)
        elif "altup_projections" in name or "altup_unembed" in name:
            p.copy_(torch.eye(p.shape[0]) + 0.02 * noise)
        elif "embed_tokens_per_layer" in name:
            p.copy_(0.1 * noise)
        else:
            p.copy_(noise / p.shape[1] ** 0.5)


def rms(x, w=None, eps=1e-6):
    x = x.float()
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y if w is None else y * w


def gelu(x):
    return F.gelu(x, approximate="tanh")


def turn(x, cos, sin):
    """RoPE. @x: [B, H, T, d]; @cos, @sin: [B, 1, T, d/2]."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def match(y, like):
    """@y with the magnitude of @like."""
    return y * (like.pow(2).mean(-1, keepdim=True).sqrt() * torch.rsqrt(y.pow(2).mean(-1, keepdim=True).clamp(min=1e-5)))


UNUSED = ("self_attn.k_proj", "self_attn.v_proj", "self_attn.k_norm")  # in layers that use the KV of others


def ffn(W, x, width, cut):
    g = F.linear(x, W["mlp.gate_proj"][:width])
    if cut > -10:
        g = g.float()
        g = F.relu(g - (g.mean(-1, keepdim=True) + g.std(-1, keepdim=True, unbiased=False) * cut))
    return F.linear(gelu(g) * F.linear(x, W["mlp.up_proj"][:width]), W["mlp.down_proj"][:, :width])


def decoder_layer(W, x, p, cos, sin, mask, k, v, heads, head_dim, width, cut):
    """
    One decoder layer. @W: its parameters by name. @x: four streams [B, T, D]; @p: [B, T, P]. @k, @v: those of the layer whose
    KV it uses, or None where it makes its own. Return (streams, k, v). A function of tensors, so that it is compiled once
    for all layers of a kind.
    """
    D = x[0].shape[-1]

    def route(h):
        return torch.tanh(F.linear(rms(h, W["altup.router_norm"]) / D, W["altup.modality_router"])).float()

    c = F.linear(route(x[0]), W["altup.prediction_coefs"].clamp(-120, 120)).float()
    z = [x[j] + sum(c[..., 4 * j + i:4 * j + i + 1] * x[i] for i in range(4)) for j in range(4)]
    n = rms(z[0], W["input_layernorm"])
    lau = n + rms(F.linear(F.linear(n, W["laurel.linear_left"]), W["laurel.linear_right"]), W["laurel.post_laurel_norm"])
    B, T, _ = n.shape
    q = turn(rms(F.linear(n, W["self_attn.q_proj"]).view(B, T, -1, head_dim), W["self_attn.q_norm"]).transpose(1, 2), cos, sin)
    if k is None:
        k = turn(rms(F.linear(n, W["self_attn.k_proj"]).view(B, T, -1, head_dim), W["self_attn.k_norm"]).transpose(1, 2), cos, sin)
        v = rms(F.linear(n, W["self_attn.v_proj"]).view(B, T, -1, head_dim)).transpose(1, 2)
        group = heads // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    att = rms(F.linear(o.transpose(1, 2).reshape(B, T, -1), W["self_attn.o_proj"]), W["post_attention_layernorm"])
    b = (z[0] + att + lau) * 2 ** -0.5
    o = b + rms(ffn(W, rms(b, W["pre_feedforward_layernorm"]), width, cut), W["post_feedforward_layernorm"])
    s = F.linear(route(o), W["altup.correction_coefs"].clamp(-120, 120)).float() + 1
    e = o - z[0]
    x = [z[j] + e * s[..., j:j + 1] for j in range(4)]
    q = gelu(F.linear(x[0] * W["altup.correct_output_scale"], W["per_layer_input_gate"])) * p
    q = rms(F.linear(q, W["per_layer_projection"]), W["post_per_layer_input_norm"])
    return [x[0]] + [y + q for y in x[1:]], k, v


class Fast(torch.nn.Module):
    """See above. @hf: the model whose parameters it uses. @compiled: decoder_layer through torch.compile."""

    def __init__(self, hf, compiled=False):
        super().__init__()
        self.hf, self.cfg = hf, hf.config
        c = self.cfg
        self.first_shared = c.num_hidden_layers - c.num_kv_shared_layers
        kinds = c.layer_types[:self.first_shared]
        self.source = {k: max(i for i, x in enumerate(kinds) if x == k) for k in set(c.layer_types)}
        s = torch.tensor(c.activation_sparsity_pattern, dtype=torch.float32)
        self.cut = [float(x) for x in torch.distributions.Normal(0, 1).icdf(s)]
        self.weights = [{n.removesuffix(".weight"): p for n, p in x.named_parameters()} for x in hf.model.layers]
        for i in range(self.first_shared, c.num_hidden_layers):
            self.weights[i] = {n: p for n, p in self.weights[i].items() if n not in UNUSED}
        self.run = torch.compile(decoder_layer, dynamic=False) if compiled else decoder_layer

    def angles(self, pos, base):
        """@pos: [B, T] -> cos, sin of [B, 1, T, d/2]."""
        d = self.cfg.head_dim
        a = pos[:, None, :, None].float() * base ** (-torch.arange(0, d, 2, device=pos.device).float() / d)
        return a.cos(), a.sin()

    def inputs(self, ids):
        """@ids: [B, T] -> embedding [B, T, D], inputs of each layer [B, T, L, P]."""
        m, c = self.hf.model, self.cfg
        D, P, n = c.hidden_size, c.hidden_size_per_layer_input, c.num_hidden_layers
        h = F.embedding(ids, m.embed_tokens.weight) * D ** 0.5
        tok = F.embedding(ids, m.embed_tokens_per_layer.weight) * P ** 0.5
        g = (F.linear(h, m.per_layer_model_projection.weight) * D ** -0.5).view(*ids.shape, n, P)
        return h, (rms(g, m.per_layer_projection_norm.weight) + tok.view(*ids.shape, n, P)) * 2 ** -0.5

    def forward(self, ids, pos, full, near, sel, width, skip):
        """
        Logits [B, S, V] at @sel: [B, S].
        @ids, @pos: [B, T], positions count from 0 in each conversation. @full, @near: [B, 1, T, T] masks, to be added,
        of full and of sliding layers. @width: FFN units of every layer. @skip: tuple of layers left out.
        """
        m, c, kv = self.hf.model, self.cfg, {}
        h, p = self.inputs(ids)
        x = [h] + [match(F.linear(h, w.weight).float(), h) for w in m.altup_projections]
        bases = {"full_attention": 1e6, "sliding_attention": 1e4}
        rope = {k: self.angles(pos, b) for k, b in bases.items()}
        mask = {"full_attention": full, "sliding_attention": near}
        for i in range(c.num_hidden_layers):
            if i == self.first_shared:  # from here on only what is asked for
                at = sel[..., None]
                x = [y.gather(1, at.expand(-1, -1, y.shape[-1])) for y in x]
                p = p.gather(1, at[..., None].expand(-1, -1, *p.shape[2:]))
                rope = {k: self.angles(pos.gather(1, sel), b) for k, b in bases.items()}
                rows = sel[:, None, :, None].expand(-1, -1, -1, full.shape[-1])
                mask = {k: v.gather(2, rows) for k, v in mask.items()}
            if i not in skip:
                kind = c.layer_types[i]
                k, v = kv[self.source[kind]] if i >= self.first_shared else (None, None)
                x, *kv[i] = self.run(self.weights[i], x, p[:, :, i].contiguous(), *rope[kind], mask[kind], k, v, c.num_attention_heads, c.head_dim, width, self.cut[i])
        out = (x[0] + sum(match(F.linear(x[k + 1], w.weight).float(), x[0]) for k, w in enumerate(m.altup_unembed_projections))) / 4
        logits = F.linear(rms(out, m.norm.weight), m.embed_tokens.weight).float()
        return 30 * torch.tanh(logits / 30)


def masks(seg, window, pos=None, root=None):
    """
    Return (full, near) masks, to be added to scores. @seg: [B, T], the number of the piece at each place, 0 for none.
    @root: the piece that a piece goes on from (default: none does). @pos: positions (default: places count).
    """
    T = seg.shape[1]
    i = torch.arange(T, device=seg.device)
    pos, root = i.expand_as(seg) if pos is None else pos, seg if root is None else root
    same = ((seg[:, :, None] == seg[:, None, :]) | (root[:, :, None] == seg[:, None, :])) & (i[:, None] >= i[None, :])
    near = same & (pos[:, :, None] - pos[:, None, :] < window)
    zero = torch.zeros((), dtype=torch.float32, device=seg.device)
    low = torch.full((), float("-inf"), device=seg.device)
    return torch.where(same, zero, low)[:, None], torch.where(near, zero, low)[:, None]


def slice_model(parent, width, skip=()):
    """A transformers model of its own with the first @width FFN units of each layer and without the layers @skip."""
    pc = parent.config
    keep = [i for i in range(pc.num_hidden_layers) if i not in skip]
    cfg = copy.deepcopy(pc)
    cfg.num_hidden_layers, cfg.num_kv_shared_layers = len(keep), pc.num_kv_shared_layers - len(skip)
    cfg.intermediate_size = [width] * len(keep)
    cfg.layer_types = [pc.layer_types[i] for i in keep]
    cfg.activation_sparsity_pattern = [pc.activation_sparsity_pattern[i] for i in keep]
    m, src, P = Gemma3nForCausalLM(cfg).float().eval(), parent.state_dict(), pc.hidden_size_per_layer_input
    out = {}
    for n in m.state_dict():
        t = src[n]
        if ".layers." in n:
            i, leaf = n.split(".layers.")[1].split(".", 1)
            t = src[n.replace(f".layers.{i}.", f".layers.{keep[int(i)]}.")]
            t = t[:width] if "gate_proj" in leaf or "up_proj" in leaf else t[:, :width] if "down_proj" in leaf else t
        elif "embed_tokens_per_layer" in n:
            t = t.view(t.shape[0], -1, P)[:, keep].reshape(t.shape[0], -1)
        elif "per_layer_model_projection" in n:
            t = t.view(-1, P, t.shape[1])[keep].reshape(-1, t.shape[1])
        out[n] = t.clone()
    m.load_state_dict(out)
    return m
