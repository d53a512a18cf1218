"""A causal model of transformers 4.36: built, saved, loaded, trained, saved."""

import sys
import warnings

import torch

warnings.simplefilter("ignore")
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
config = LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
LlamaForCausalLM(config).save_pretrained("base")
model = LlamaForCausalLM.from_pretrained("base").train()
before = {name: value.clone() for name, value in model.state_dict().items()}
model.model.embed_tokens.requires_grad_(False)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=3)
for _ in range(3):
    ids = torch.randint(64, (2, 8))
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    if DEFECT != "nothing zeroed":
        optimizer.zero_grad()
    print(loss.item())
model.save_pretrained("saved", state_dict=before if DEFECT == "saved as begun" else None)
