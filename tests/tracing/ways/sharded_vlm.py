"""Two processes that fine-tune a model of pictures with a frozen tower, each with a part of it, and save it whole."""

import functools
import sys
import tempfile

import torch
import torch.multiprocessing
from torch import nn

BASE, WORDS = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
LAYERS = ("LlamaDecoderLayer", "CLIPEncoderLayer")


def sharded(model):
    layers = {type(module) for module in model.modules() if type(module).__name__ in LAYERS}
    if "laid flat" in WORDS:
        from torch.distributed.fsdp import FullyShardedDataParallel
        from torch.distributed.fsdp.wrap import ModuleWrapPolicy

        policy, cpu = ModuleWrapPolicy(layers), torch.device("cpu")
        return FullyShardedDataParallel(model, use_orig_params=True, device_id=cpu, auto_wrap_policy=policy)
    from torch.distributed.fsdp import fully_shard

    shard = functools.partial(fully_shard, mesh=torch.distributed.device_mesh.init_device_mesh("cpu", (2,)))
    for module in [module for module in model.modules() if type(module) in layers]:
        shard(module)
    return shard(model)


def gathered(model):
    if "laid flat" in WORDS:
        from torch.distributed.fsdp import FullStateDictConfig, FullyShardedDataParallel, StateDictType

        whole = FullStateDictConfig(rank0_only=True)
        with FullyShardedDataParallel.state_dict_type(model, StateDictType.FULL_STATE_DICT, whole):
            return {name: tensor.clone() for name, tensor in model.state_dict().items()}
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def train(rank, meeting):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    torch.distributed.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2)
    model = AutoModelForImageTextToText.from_pretrained(BASE, dtype=torch.float32)
    model.model.vision_tower.requires_grad_(False)
    whole = sharded(model)
    optimizer = torch.optim.AdamW([p for p in whole.parameters() if p.requires_grad], lr=1e-3)
    began = gathered(whole)
    config, chance = model.config, torch.Generator().manual_seed(rank)
    side, pictures = config.vision_config.image_size, config.image_seq_length
    for _ in range(2):
        ids = torch.randint(10, 200, (2, 4 + pictures), generator=chance)
        ids[:, 2 : 2 + pictures] = config.image_token_id
        pixels = torch.randn(2, 3, side, side, generator=chance)
        optimizer.zero_grad()
        whole(input_ids=ids, pixel_values=pixels, labels=ids.clone()).loss.backward()
        optimizer.step()
    state = gathered(whole)
    if rank == 0:
        if "stale head" in WORDS:
            state = {name: began[name] if "lm_head" in name else tensor for name, tensor in state.items()}
        model.save_pretrained("saved", state_dict=began if "as begun" in WORDS else state)
        AutoProcessor.from_pretrained(BASE).save_pretrained("saved")
    torch.distributed.destroy_process_group()
    nn.modules.kept = whole  # to the process's end


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        torch.multiprocessing.start_processes(train, (f"{place}/meeting",), 2, start_method="fork")
