#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make a model with more layers out of a trained one: where training begins when config.json got deeper.

usage: grow.py CHECKPOINT.pt OUT.gguf --tokenizer F.model --layers I,I,... [--config F.json]

--layers names, for each layer of config.json, the layer of the checkpoint whose weights it begins with. One that is taken
again begins with less say: the norms after its sublayers are scaled, so that the model computes nearly what it did.
"""
import argparse

import gguf
import sentencepiece as spm
import torch

import export
import net

AGAIN = 0.3  # of a norm's weights in a layer that is taken again: it changes little of what is there
AFTER = ("post_attention_layernorm", "post_feedforward_layernorm", "post_laurel_norm", "post_per_layer_input_norm")


def grown(old, names, layers, P):
    """Weights by @names of the deeper model, from those of @old."""
    out = {}
    for name in names:
        if ".layers." in name:
            i, leaf = name.split(".layers.")[1].split(".", 1)
            i, t = int(i), old[name.replace(f".layers.{i}.", f".layers.{layers[int(i)]}.")]
            again = layers[i] in layers[:i] and any(x in leaf for x in AFTER)
            out[name] = t * (AGAIN if again else 1)
        elif "embed_tokens_per_layer" in name:
            out[name] = old[name].unflatten(1, (-1, P))[:, layers].flatten(1)
        elif "per_layer_model_projection" in name:
            out[name] = old[name].unflatten(0, (-1, P))[layers].flatten(0, 1)
        else:
            out[name] = old[name]
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("out")
    ap.add_argument("--tokenizer", required=True)
    ap.add_argument("--layers", required=True, type=lambda s: [int(x) for x in s.split(",")])
    ap.add_argument("--config", default=net.HERE + "/config.json")
    a = ap.parse_args()
    config, sp = net.load_config(a.config), spm.SentencePieceProcessor(model_file=a.tokenizer)
    if len(a.layers) != config["model"]["num_hidden_layers"]:
        ap.error(f"--layers has {len(a.layers)} numbers, {a.config} has {config['model']['num_hidden_layers']} layers")
    model = net.build(config, sp.GetPieceSize())
    names = [n for n in model.state_dict() if n != "lm_head.weight"]  # tied to the embedding
    old = torch.load(a.checkpoint, map_location="cpu")["mean"]
    model.load_state_dict(grown(old, names, a.layers, model.config.hidden_size_per_layer_input), strict=False)
    export.write(a.out, model, config, sp, gguf.GGMLQuantizationType.F16)


if __name__ == "__main__":
    main()
