"""Qwen 2's tokenizer with MiniCPM-V's tokens after its own. Its turns end in Qwen's `<|im_end|>`: it has no eot_id."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast


class MiniCPMVTokenizerFast(PreTrainedTokenizerFast):
    """The tokens around images, slices and numbers of images, by name."""

    im_start = "<image>"
    im_end = "</image>"
    slice_start = "<slice>"
    slice_end = "</slice>"
    im_id_start = "<image_id>"
    im_id_end = "</image_id>"

    def id_of(self, token: str) -> int:
        """The id of one token."""
        found: int = self.convert_tokens_to_ids(token)
        return found

    @property
    def bos_id(self) -> int:
        return self.id_of(str(self.bos_token))

    @property
    def eos_id(self) -> int:
        return self.id_of(str(self.eos_token))

    @property
    def unk_id(self) -> int:
        return self.id_of(str(self.unk_token))

    @property
    def im_start_id(self) -> int:
        return self.id_of(self.im_start)

    @property
    def im_end_id(self) -> int:
        return self.id_of(self.im_end)

    @property
    def slice_start_id(self) -> int:
        return self.id_of(self.slice_start)

    @property
    def slice_end_id(self) -> int:
        return self.id_of(self.slice_end)
