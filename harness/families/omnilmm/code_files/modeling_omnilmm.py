"""OmniLMM: an EVA02 tower, a resampler, and Mistral, whose embeddings between two image tokens the features replace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import MistralForCausalLM, MistralModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_omnilmm import OmniLMMConfig
from .eva import Eva, EvaAttention, create_tower
from .resampler import Resampler

IMAGE_TOKENS = ("<im_patch>", "<im_start>", "<im_end>")
OTHER_TOKENS = ("<box>", "</box>", "<ref>", "</ref>", "<quad>", "</quad>")


class OmniLMMModel(MistralModel):
    """Mistral's decoder with `vision_tower` and `resampler` beside it.

    Where the configuration says `tune_clip: false`, the tower lies in a Python list: torch does not know of it, so that
    it is in no parameters(), no state dict and no save, and neither to() nor train() reaches it.

    `vision_config` is a function that attributes are hung on, and no configuration: it is in no config.json, and a
    model that was loaded has no token ids until somebody sets them.
    """

    config_class = OmniLMMConfig

    def __init__(self, config: OmniLMMConfig) -> None:
        super().__init__(config)
        tower = create_tower(config.tower_sizes)
        self.vision_tower = tower if config.tune_clip else [tower]
        self.resampler = Resampler(config.num_query, config.hidden_size, config.tower_sizes["embed_dim"])
        self.vision_config: Any = lambda: None
        self.orig_embeds_params: list[torch.Tensor] | None = None
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Of what is not in the checkpoint; the library empties buffers outside it."""
        super()._init_weights(module)
        if isinstance(module, Resampler):
            module.fill()
        if isinstance(module, EvaAttention):
            nn.init.zeros_(module.k_bias)

    @property
    def tower(self) -> Eva:
        """The tower, wherever it lies."""
        held: Any = self.vision_tower
        found: Eva = held[0] if isinstance(held, list) else held
        return found

    def get_vision_embedding(self, pixels: torch.Tensor) -> torch.Tensor:
        """The features of pictures, as many as there are queries for each."""
        tower = self.tower
        rows = tower(pixels.to(tower.pos_embed.dtype))
        features: torch.Tensor = self.resampler(rows[:, tower.num_prefix_tokens :])
        return features

    def get_vllm_embedding(self, input_ids: torch.Tensor, pixels: torch.Tensor | None) -> torch.Tensor:
        """The embeddings of rows of ids, with the features of pictures in the places between two image tokens.

        Rows are stacked: they must be of one length. Raises ValueError where image tokens and pictures do not match.
        """
        embeddings = self.embed_tokens(input_ids)
        features = [] if pixels is None else list(self.get_vision_embedding(pixels).to(embeddings.dtype))
        rows = []
        for ids, row in zip(input_ids, embeddings, strict=True):
            starts = self._starts(ids)
            if len(starts) > len(features):
                raise ValueError(f"{len(starts)} image start tokens, and {len(features)} pictures are left for them")
            rows.append(self._with_features(ids, row, starts, [features.pop(0) for _ in starts]))
        if features:
            raise ValueError(f"{len(features)} pictures more than image start tokens")
        return torch.stack(rows)

    def _starts(self, ids: torch.Tensor) -> list[int]:
        """Where pictures begin in a row."""
        names = self.vision_config
        if not hasattr(names, "im_start_token"):
            raise AttributeError("vision_config has no token ids: they are not saved, and must be set after loading")
        starts = torch.where(ids == names.im_start_token)[0].tolist()
        if len(starts) != int((ids == names.im_end_token).sum()):
            raise ValueError("the number of image start tokens and image end tokens should be the same")
        return [int(start) for start in starts]

    def _with_features(
        self, ids: torch.Tensor, row: torch.Tensor, starts: list[int], features: list[torch.Tensor]
    ) -> torch.Tensor:
        """A row with features after each start. While the adapter alone is tuned, only the two image tokens learn."""
        if not starts:
            return row + (0.0 * row.new_zeros(self.resampler.num_queries, row.shape[-1])).sum()
        count = self.resampler.num_queries
        rest = row if self.orig_embeds_params is None else row.detach()
        parts, at = [], 0
        for start, written in zip(starts, features, strict=True):
            end = start + count + 1
            if end >= len(ids) or int(ids[end]) != self.vision_config.im_end_token:
                raise ValueError("the image end token should follow the image start token and its patches")
            parts += [rest[at:start], row[start : start + 1], written, row[end : end + 1]]
            at = end + 1
        return torch.cat([*parts, rest[at:]])


class OmniLMMForCausalLM(MistralForCausalLM):
    """`model` and `lm_head`: the names under which checkpoints hold them."""

    config_class = OmniLMMConfig

    def __init__(self, config: OmniLMMConfig) -> None:
        super(MistralForCausalLM, self).__init__(config)
        self.model = OmniLMMModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @classmethod
    def from_pretrained(cls, directory: Any, *args: Any, **options: Any) -> Any:
        """The model of a directory. Libraries thaw what they load, and a tower in a list is in no checkpoint."""
        loaded = super().from_pretrained(directory, *args, **options)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.model.resampler.pos_embed.requires_grad_(False)
        if not model.config.tune_clip:
            model.initialize_vision_modules(Path(str(directory)) / model.config.mm_vision_tower)
        return loaded

    def initialize_vision_modules(self, vision_tower: Path) -> None:
        """Fill the tower in the list from a file of its own. The configuration names that file from now on."""
        from safetensors.torch import load_file

        if not vision_tower.is_file():
            raise FileNotFoundError(
                f"mm_vision_tower: {vision_tower} does not exist, and no checkpoint holds the tower"
            )
        tower = create_tower(self.config.tower_sizes).to_empty(device=self.device)
        tower.load_state_dict(load_file(vision_tower))
        for module in tower.modules():
            if isinstance(module, EvaAttention):
                nn.init.zeros_(module.k_bias)
        self.model.vision_tower = [tower.to(self.dtype).requires_grad_(False)]
        self.config.mm_vision_tower = str(vision_tower.absolute())

    def initialize_vision_tokenizer(
        self, mm_use_im_start_end: bool, tokenizer: Any, tune_mm_mlp_adapter: bool = False
    ) -> None:
        """Add the tokens that the tokenizer lacks, each with the mean of the rows before it, and set their ids.

        Needed after every load: no configuration holds the ids.
        """
        assert mm_use_im_start_end, "this model marks where pictures begin and end"
        names = self.model.vision_config
        names.use_im_start_end = mm_use_im_start_end
        self._add_tokens(tokenizer, IMAGE_TOKENS)
        names.im_patch_token, names.im_start_token, names.im_end_token = tokenizer.convert_tokens_to_ids(
            list(IMAGE_TOKENS)
        )
        if tune_mm_mlp_adapter:
            self.tune_adapter_alone()
        self._add_tokens(tokenizer, OTHER_TOKENS)

    def tune_adapter_alone(self) -> None:
        """Input embeddings train, but for those of other tokens than the image tokens; the output's are frozen."""
        embeddings: Any = self.get_input_embeddings()
        self.model.orig_embeds_params = [embeddings.weight.detach().clone()]
        embeddings.requires_grad_(True)
        self.get_output_embeddings().requires_grad_(False)

    @torch.no_grad()
    def _add_tokens(self, tokenizer: Any, tokens: tuple[str, ...]) -> None:
        added = tokenizer.add_tokens(list(tokens), special_tokens=True)
        if not added:
            return
        self.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        for module in (self.get_input_embeddings(), self.get_output_embeddings()):
            module.weight[-added:] = module.weight[:-added].mean(dim=0, keepdim=True)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """One pass. Pictures are looked at once: what is generated after them is one token at a time."""
        if inputs_embeds is None:
            assert input_ids is not None
            first = self.training or input_ids.shape[1] != 1
            inputs_embeds = self.model.get_vllm_embedding(input_ids, pixel_values if first else None)
        hidden = self.model(inputs_embeds=inputs_embeds, attention_mask=attention_mask, **kwargs)
        logits = self.lm_head(hidden.last_hidden_state)
        loss = None
        if labels is not None:
            scores, wanted = logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten()
            loss = nn.functional.cross_entropy(scores, wanted)
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=hidden.past_key_values)

    def prepare_inputs_for_generation(self, *args: Any, pixel_values: torch.Tensor | None = None, **kwargs: Any) -> Any:
        return {**super().prepare_inputs_for_generation(*args, **kwargs), "pixel_values": pixel_values}
