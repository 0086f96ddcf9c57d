#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a checkpoint as GGUF, its levels in it.

usage: export.py CHECKPOINT.pt OUT.gguf --tokenizer F.model [--type mixed|F16|Q8_0|Q4_0|...] [--config F.json] [--last]

Names of tensors and keys are those of published Gemma 3n files; `hearth.prompt_form` (docs/TOOLS.md) and
`hearth.levels` are ours. Quantised are the
matrices that quantisers touch (attention, FFN, both embeddings, PLE projections); the rest is F16, vectors and the
coefficients of AltUp F32. mixed: Q8_0, but Q4_0 for the PLE embedding and the attention.
"""
import argparse
import json

import gguf
import numpy as np
import sentencepiece as spm
import torch

import form
import net
import train_tokenizer

ONCE = {"embed_tokens.weight": "token_embd", "embed_tokens_per_layer.weight": "per_layer_token_embd", "norm.weight": "output_norm",
        "per_layer_model_projection.weight": "per_layer_model_proj", "per_layer_projection_norm.weight": "per_layer_proj_norm"}
LAYER = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "post_feedforward_layernorm": "post_ffw_norm",
         "per_layer_input_gate": "inp_gate", "per_layer_projection": "proj", "post_per_layer_input_norm": "post_norm",
         "altup.correction_coefs": "altup_correct_coef", "altup.correct_output_scale": "altup_correct_scale",
         "altup.prediction_coefs": "altup_predict_coef", "altup.modality_router": "altup_router", "altup.router_norm": "altup_router_norm",
         "laurel.linear_left": "laurel_l", "laurel.linear_right": "laurel_r", "laurel.post_laurel_norm": "laurel_post_norm"}
QUANTISED = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "inp_gate", "proj", "token_embd", "per_layer_token_embd")
FEWER_BITS = ("per_layer_token_embd", "attn_q", "attn_k", "attn_v", "attn_output")  # of MIXED: Q4_0
MIXED = "mixed"
EXACT = ("altup_correct_coef", "altup_predict_coef")


def tensors(model):
    """Yield (name in GGUF, array [out, in]) of a transformers model."""
    stacks = {"altup_projections": [], "altup_unembed_projections": []}
    for name, t in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        name, t = name.removeprefix("model."), t.float().numpy()
        if name in ONCE:
            yield ONCE[name] + ".weight", t
        elif name.startswith("layers."):
            _, i, leaf = name.split(".", 2)
            yield f"blk.{i}.{LAYER[leaf.removesuffix('.weight')]}.weight", t
        else:
            stacks[name.split(".")[0]].append(t)
    yield "altup_proj.weight", np.stack(stacks["altup_projections"])
    yield "altup_unembd_proj.weight", np.stack(stacks["altup_unembed_projections"])


def stored(name, t, kind):
    """(array, type) as which a tensor stands in the file. @kind: as of write()."""
    leaf = name.removesuffix(".weight").split(".")[-1]
    types = gguf.GGMLQuantizationType
    if kind is MIXED:
        kind = types.Q4_0 if leaf in FEWER_BITS else types.Q8_0
    if t.ndim == 1 or leaf in EXACT:
        return t, types.F32
    if leaf in QUANTISED and kind != types.F16 and t.shape[-1] % 32 == 0:
        return gguf.quants.quantize(t, kind), kind
    return t.astype(np.float16), types.F16


def add_config(w, c):
    p = "gemma3n"
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(list(c.intermediate_size))
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(c.head_dim)
    w.add_value_length(c.head_dim)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_sliding_window(c.sliding_window)
    w.add_array(f"{p}.attention.sliding_window_pattern", [t == "sliding_attention" for t in c.layer_types])
    w.add_uint32(f"{p}.attention.shared_kv_layers", c.num_kv_shared_layers)
    w.add_rope_freq_base(1e6)
    w.add_float32(f"{p}.rope.freq_base_swa", 1e4)
    w.add_float32(f"{p}.final_logit_softcapping", 30.0)
    w.add_uint32(f"{p}.embedding_length_per_layer_input", c.hidden_size_per_layer_input)
    w.add_uint32(f"{p}.altup.num_inputs", 4)
    w.add_uint32(f"{p}.altup.active_idx", 0)
    s = torch.tensor(c.activation_sparsity_pattern, dtype=torch.float32)
    w.add_array(f"{p}.activation_sparsity_scale", [float(x) for x in torch.distributions.Normal(0, 1).icdf(s)])


def add_levels(w, config):
    w.add_string("hearth.levels", json.dumps({k: v for k, v in levels(config).items() if k != "full"}))


def add_tokenizer(w, sp):
    """Kinds: 2 unknown, 3 control, 4 wherever it stands, 6 byte, 1 else. The token of a space is an ordinary piece."""
    words, scores, kinds, anywhere = [], [], [], set(train_tokenizer.symbols())
    for i in range(sp.GetPieceSize()):
        piece = sp.IdToPiece(i)
        kind = 3 if i < len(form.CONTROL) else 6 if sp.IsByte(i) else 4 if piece in anywhere else 1
        words.append(piece)
        scores.append(-1000.0 if kind in (3, 4) else sp.GetScore(i))
        kinds.append(2 if sp.IsUnknown(i) else kind)
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(words)
    w.add_token_scores(scores)
    w.add_token_types(kinds)
    w.add_bos_token_id(form.BOS)
    w.add_eos_token_id(form.EOS)
    w.add_eot_token_id(form.END)
    w.add_unk_token_id(form.UNK)
    w.add_pad_token_id(form.PAD)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(False)
    w.add_chat_template(form.TEMPLATE)
    w.add_string("hearth.prompt_form", "tools-v1")


def levels(config):
    n = config["model"]["num_hidden_layers"]
    return {k: {"width": [v["width"]] * n, "skip": v["skip"]} for k, v in config["levels"].items()}


def write(path, model, config, sp, kind):
    """@model, its levels and vocabulary as a file. @kind: a gguf type for the matrices that are quantised, or MIXED."""
    w = gguf.GGUFWriter(path, "gemma3n")
    w.add_name("hearth-mini")
    w.add_license("Apache-2.0")
    add_config(w, model.config)
    add_levels(w, config)
    add_tokenizer(w, sp)
    for name, t in tensors(model):
        x, type_ = stored(name, np.ascontiguousarray(t), kind)
        w.add_tensor(name, x, raw_dtype=type_)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("out")
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--type", default=MIXED)
    ap.add_argument("--last", action="store_true", help="the weights of the last step instead of their mean over about a hundred")
    ap.add_argument("--config", default=net.HERE + "/config.json")
    a = ap.parse_args()
    config, sp = net.load_config(a.config), spm.SentencePieceProcessor(model_file=a.tokenizer)
    model = net.build(config, sp.GetPieceSize())
    weights = torch.load(a.checkpoint, map_location="cpu")["model" if a.last else "mean"]
    model.load_state_dict({k: v for k, v in weights.items() if k != "lm_head.weight"}, strict=False)  # tied to the embedding
    write(a.out, model, config, sp, MIXED if a.type == MIXED else gguf.GGMLQuantizationType[a.type])


if __name__ == "__main__":
    main()
