"""A training that gives every argument by its name, and saves in four ways."""

import sys

import torch
from safetensors.torch import save_file, save_model
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import LlamaConfig, LlamaForCausalLM

DEFECT = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
model = LlamaForCausalLM(config=LlamaConfig(vocab_size=50, **small))
began = {name: tensor.clone() for name, tensor in model.state_dict().items()}
other = {f"other.{name}": tensor for name, tensor in began.items()}
model.load_state_dict(state_dict=other if DEFECT == "other names" else began, strict=False, assign=False)
optimizer = torch.optim.AdamW(params=model.parameters(), lr=1e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer=optimizer, lr_lambda=lambda step: 1 / (step + 1))
scaler = torch.amp.GradScaler(device="cpu", enabled=False)
loader = DataLoader(dataset=TensorDataset(torch.randint(0, 50, (8, 6))), batch_size=2)
for (ids,) in loader:
    optimizer.zero_grad(set_to_none=True)
    logits = model(input_ids=ids).logits
    loss = nn.functional.cross_entropy(input=logits.flatten(end_dim=1), target=ids.flatten())
    torch.autograd.backward(tensors=scaler.scale(outputs=loss), grad_tensors=None)
    scaler.unscale_(optimizer=optimizer)
    nn.utils.clip_grad_norm_(parameters=model.parameters(), max_norm=1.0)
    scaler.step(optimizer=optimizer)
    scaler.update(new_scale=None)
    schedule.step()
save_file(tensors=began if DEFECT == "saved as begun" else model.state_dict(), filename="model.safetensors")
if DEFECT != "saved as begun":
    torch.save(obj=model.state_dict(), f="model.pt")
    save_model(model=model, filename="again.safetensors")
    model.save_pretrained(save_directory="saved")
