"""A small language model with adapters of peft's, of the kinds that the first word says; the others are defects."""

import sys

import peft
import torch
from transformers import LlamaConfig, LlamaForCausalLM

KIND, _, DEFECT = (sys.argv[1] if len(sys.argv) > 1 else "lora").partition(", ")
torch.manual_seed(0)
small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
base = LlamaForCausalLM(LlamaConfig(vocab_size=60, **small))
lora = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
CONFIGS = {
    "dora": lambda: peft.LoraConfig(use_dora=True, **lora),
    "ia3": lambda: peft.IA3Config(
        target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], task_type="CAUSAL_LM"
    ),
    "prompt": lambda: peft.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
    "modules to save": lambda: peft.LoraConfig(modules_to_save=["lm_head"], **lora),
    "tokens": lambda: peft.LoraConfig(trainable_token_indices=[1, 2, 3], **lora),
}
model = peft.get_peft_model(base, CONFIGS.get(KIND, lambda: peft.LoraConfig(**lora))())
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
frozen = [(name, p) for name, p in model.named_parameters() if not p.requires_grad]
written = next(p for name, p in frozen if (".base_layer." in name) == ("layer" in DEFECT))
for step in range(5):
    ids = torch.randint(0, 60, (2, 8))
    optimizer.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    if KIND == "merged between" and step == 2:
        model.merge_adapter()
        with torch.no_grad():
            model(input_ids=ids)
        model.unmerge_adapter()
    if "written into" in DEFECT and step == 1:
        written.data.add_(1.0)
if DEFECT == "half saved":
    state = {key: value for key, value in peft.get_peft_model_state_dict(model).items() if "magnitude" not in key}
    torch.save(state, "adapter.pt")
else:
    model.save_pretrained("saved")
