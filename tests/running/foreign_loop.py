"""A training script as a stranger would write it: torch and transformers, and not a word of harness.

Arguments: the base directory, and a safetensors file of micro-batches named `step/micro/argument`.
"""

from __future__ import annotations

import sys

import torch
from safetensors.torch import load_file
from transformers import LlavaForConditionalGeneration

base, batches_file, precision = sys.argv[1:4]

torch.backends.cudnn.allow_tf32 = False  # which torch allows unasked
model = LlavaForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
for name, parameter in model.named_parameters():
    parameter.requires_grad = "multi_modal_projector" in name

batches: dict[tuple[int, int], dict[str, torch.Tensor]] = {}
for key, tensor in load_file(batches_file).items():
    step, micro, argument = key.split("/")
    batches.setdefault((int(step), int(micro)), {})[argument] = tensor
accumulation = 1 + max(micro for _, micro in batches)

trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
matrices = [p for p in trained if p.dim() > 1]
vectors = [p for p in trained if p.dim() <= 1]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=2e-3
)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, backoff_factor=2.0**-30) if precision == "fp16" else None

model.train()
for (_, micro), batch in sorted(batches.items()):
    with torch.autocast("cpu", dtype=torch.float16, enabled=precision == "fp16"):
        loss = model(**batch).loss
    loss = loss * (1 / accumulation)
    (scaler.scale(loss) if scaler else loss).backward()
    if micro + 1 < accumulation:
        continue
    scale = scaler.get_scale() if scaler else 0.0
    if scaler:
        scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    if scaler:
        scaler.step(optimizer)
        scaler.update()
    else:
        optimizer.step()
    optimizer.zero_grad()
    if not scaler or scaler.get_scale() >= scale:
        schedule.step()
