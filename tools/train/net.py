# SPDX-License-Identifier: Apache-2.0
"""The model: transformers' Gemma3nForCausalLM holds the parameters, and a forward pass for training computes with them.

Fast.forward() computes what transformers computes (check_net.py compares them), with three things that it cannot do:
several conversations in one row, FFN widths and skipped layers chosen per step (MatFormer), and the layers that make no
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
        layer_types=["full_attention" if (i + 1) % 5 == 0 else "sliding_attention" for i in range(m["num_hidden_layers"])],
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


class Fast(torch.nn.Module):
    """See above. @hf: the model whose parameters it uses."""

    def __init__(self, hf):
        super().__init__()
        self.hf, self.cfg = hf, hf.config
        c = self.cfg
        self.first_shared = c.num_hidden_layers - c.num_kv_shared_layers
        kinds = c.layer_types[:self.first_shared]
        self.source = {k: max(i for i, x in enumerate(kinds) if x == k) for k in set(c.layer_types)}
        s = torch.tensor(c.activation_sparsity_pattern, dtype=torch.float32)
        self.cut = [float(x) for x in torch.distributions.Normal(0, 1).icdf(s)]

    def angles(self, pos, base):
        """@pos: [B, T] -> cos, sin of [B, 1, T, d/2]."""
        d = self.cfg.head_dim
        a = pos[:, None, :, None].float() * base ** (-torch.arange(0, d, 2, device=pos.device).float() / d)
        return a.cos(), a.sin()

    def ffn(self, layer, i, x, width):
        g = F.linear(x, layer.mlp.gate_proj.weight[:width])
        if self.cut[i] > -10:
            g = F.relu(g - (g.mean(-1, keepdim=True) + g.std(-1, keepdim=True, unbiased=False) * self.cut[i]))
        return F.linear(gelu(g) * F.linear(x, layer.mlp.up_proj.weight[:width]), layer.mlp.down_proj.weight[:, :width])

    def attend(self, layer, i, n, rope, mask, kv):
        """@n: [B, T, D]. Layers with KV of their own put it into @kv under their number."""
        a, c = layer.self_attn, self.cfg
        B, T, _ = n.shape
        q = turn(rms(F.linear(n, a.q_proj.weight).view(B, T, -1, c.head_dim), a.q_norm.weight).transpose(1, 2), *rope)
        if i < self.first_shared:
            k = rms(F.linear(n, a.k_proj.weight).view(B, T, -1, c.head_dim), a.k_norm.weight).transpose(1, 2)
            v = rms(F.linear(n, a.v_proj.weight).view(B, T, -1, c.head_dim)).transpose(1, 2)
            kv[i] = (turn(k, *rope), v)
        k, v = kv[i if i < self.first_shared else self.source[c.layer_types[i]]]
        group = c.num_attention_heads // c.num_key_value_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        return F.linear(o.transpose(1, 2).reshape(B, T, -1), a.o_proj.weight)

    def layer(self, i, x, p, rope, mask, kv, width):
        """One decoder layer. @x: four streams [B, T, D]; @p: [B, T, P]."""
        L, D = self.hf.model.layers[i], self.cfg.hidden_size
        up = L.altup
        route = lambda h: torch.tanh(F.linear(rms(h, up.router_norm.weight) / D, up.modality_router.weight))
        c = F.linear(route(x[0]), up.prediction_coefs.weight.clamp(-120, 120))
        z = [x[j] + sum(c[..., 4 * j + k:4 * j + k + 1] * x[k] for k in range(4)) for j in range(4)]
        n = rms(z[0], L.input_layernorm.weight)
        lau = n + rms(F.linear(F.linear(n, L.laurel.linear_left.weight), L.laurel.linear_right.weight), L.laurel.post_laurel_norm.weight)
        att = rms(self.attend(L, i, n, rope, mask, kv), L.post_attention_layernorm.weight)
        b = (z[0] + att + lau) * 2 ** -0.5
        o = b + rms(self.ffn(L, i, rms(b, L.pre_feedforward_layernorm.weight), width), L.post_feedforward_layernorm.weight)
        s = F.linear(route(o), up.correction_coefs.weight.clamp(-120, 120)) + 1
        e = o - z[0]
        x = [z[j] + e * s[..., j:j + 1] for j in range(4)]
        q = gelu(F.linear(x[0] * up.correct_output_scale, L.per_layer_input_gate.weight)) * p
        q = rms(F.linear(q, L.per_layer_projection.weight), L.post_per_layer_input_norm.weight)
        return [x[0]] + [y + q for y in x[1:]]

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
        x = [h] + [match(F.linear(h, w.weight), h) for w in m.altup_projections]
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
                x = self.layer(i, x, p[:, :, i], rope[kind], mask[kind], kv, width)
        out = (x[0] + sum(match(F.linear(x[k + 1], w.weight), x[0]) for k, w in enumerate(m.altup_unembed_projections))) / 4
        logits = F.linear(rms(out, m.norm.weight), m.embed_tokens.weight)
        return 30 * torch.tanh(logits / 30)


def masks(seg, window):
    """@seg: [B, T], the number of the conversation at each place, 0 for none. Return (full, near), to be added to scores."""
    T = seg.shape[1]
    i = torch.arange(T, device=seg.device)
    same = (seg[:, :, None] == seg[:, None, :]) & (i[:, None] >= i[None, :])
    near = same & (i[:, None] - i[None, :] < window)
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
