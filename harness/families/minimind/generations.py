"""What the generations of MiniMind differ in: names, code files, configuration, chat, forward and loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.families.minimind.dimensions import Dimensions, Vision
from harness.families.minimind.names import EARLY, LATE, SEEING, Names
from harness.families.minimind.tokens import FIRST, THIRD, Chat
from harness.families.supervision import IGNORED_LABEL

if TYPE_CHECKING:
    import torch
    from torch import nn

Batch = dict[str, Any]


@dataclass(frozen=True)
class Generation:
    """One generation. `labels_early`: labels are shifted before they reach the model."""

    number: int
    names: Names
    chat: Chat
    code: tuple[str, ...]
    model_class: str
    config_class: str
    labels_early: int
    configuration: Callable[[Dimensions, Vision | None], Any]
    arguments: Callable[[Batch], dict[str, Any]]
    loss: Callable[[nn.Module, Batch], torch.Tensor]
    generation: Callable[[Batch], dict[str, Any]]

    @property
    def auto_map(self) -> dict[str, str]:
        module, config = self.code[-1].removesuffix(".py"), self.code[0].removesuffix(".py")
        model = f"{module}.{self.model_class}"
        return {
            "AutoConfig": f"{config if self.number < 3 else module}.{self.config_class}",
            "AutoModelForCausalLM": model,
        }


def _lm_config(d: Dimensions, _vision: Vision | None) -> Any:
    from harness.families.minimind.code_files.LMConfig import LMConfig

    return LMConfig(
        dim=d.hidden,
        n_layers=d.layers,
        n_heads=d.heads,
        n_kv_heads=d.key_value_heads,
        vocab_size=d.vocabulary,
        hidden_dim=d.feed_forward,
        norm_eps=d.eps,
        max_seq_len=d.positions,
        use_moe=bool(d.experts),
        n_routed_experts=d.experts or 4,
        num_experts_per_tok=d.chosen or 2,
        n_shared_experts=d.shared if d.experts else 1,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )


def settings_of_third(d: Dimensions) -> dict[str, Any]:
    return {
        "hidden_size": d.hidden,
        "num_hidden_layers": d.layers,
        "num_attention_heads": d.heads,
        "num_key_value_heads": d.key_value_heads,
        "intermediate_size": d.feed_forward,
        "vocab_size": d.vocabulary,
        "max_position_embeddings": d.positions,
        "rms_norm_eps": d.eps,
        "use_moe": bool(d.experts),
        "num_experts": d.experts or 4,
        "num_experts_per_tok": d.chosen or 1,
        "pad_token_id": 0,
        "use_cache": False,
    }


def _minimind_config(d: Dimensions, _vision: Vision | None) -> Any:
    from harness.families.minimind.code_files.model_minimind import MiniMindConfig

    return MiniMindConfig(**settings_of_third(d))


def _vlm_config(d: Dimensions, vision: Vision | None) -> Any:
    from harness.families.minimind.code_files.model_vlm import VLMConfig

    assert vision is not None
    tower = {
        "hidden_size": vision.hidden,
        "num_hidden_layers": vision.layers,
        "num_attention_heads": vision.heads,
        "intermediate_size": vision.feed_forward,
        "image_size": vision.image,
        "patch_size": vision.patch,
    }
    return VLMConfig(**settings_of_third(d), vision_config=tower, image_token_len=vision.tokens)


def _without(batch: Batch, *names: str) -> Batch:
    return {name: value for name, value in batch.items() if name not in names}


def _early_arguments(batch: Batch) -> dict[str, Any]:
    """Targets, without which there are logits of the last place alone. Of a batch's mask the model knows nothing, and
    would take it for targets: it goes along in what is passed over."""
    targets = batch.get("labels", batch["input_ids"])
    sample = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    return {"tokens": batch["input_ids"], "targets": targets, "sample": sample}


def _first_loss(model: Any, batch: Batch) -> torch.Tensor:
    """The model's own, of targets that were shifted before. What the experts' gate finds uneven is not in it."""
    loss: torch.Tensor = model(**_early_arguments(batch)).loss
    return loss


def _second_loss(model: Any, batch: Batch) -> torch.Tensor:
    from torch.nn.functional import cross_entropy

    output = model(**_without(batch, "labels"))
    labels = batch["labels"].flatten()
    loss = cross_entropy(output.logits.flatten(0, 1).float(), labels, ignore_index=IGNORED_LABEL)
    whole: torch.Tensor = loss + output["aux_loss"]
    return whole


def _third_loss(model: Any, batch: Batch) -> torch.Tensor:
    output = model(**batch)
    loss: torch.Tensor = output.loss + output.aux_loss
    return loss


def _tokens(batch: Batch) -> dict[str, Any]:
    return {"tokens": batch["input_ids"]}


def _everything(batch: Batch) -> dict[str, Any]:
    return dict(batch)


def _without_labels(batch: Batch) -> dict[str, Any]:
    return _without(batch, "labels")


_EARLY_CODE = ("LMConfig.py", "model.py")
V1 = Generation(
    1, EARLY, FIRST, _EARLY_CODE, "Transformer", "LMConfig", 1, _lm_config, _early_arguments, _first_loss, _tokens
)
V2 = Generation(
    2, EARLY, FIRST, _EARLY_CODE, "MiniMindLM", "LMConfig", 1, _lm_config, _without_labels, _second_loss, _tokens
)
V3 = Generation(
    3,
    LATE,
    THIRD,
    ("model_minimind.py",),
    "MiniMindForCausalLM",
    "MiniMindConfig",
    0,
    _minimind_config,
    _everything,
    _third_loss,
    _without_labels,
)
V = Generation(
    3,
    SEEING,
    THIRD,
    ("model_minimind.py", "model_vlm.py"),
    "MiniMindVLM",
    "VLMConfig",
    0,
    _vlm_config,
    _everything,
    _third_loss,
    _without_labels,
)
