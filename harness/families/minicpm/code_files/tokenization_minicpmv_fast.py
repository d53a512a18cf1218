"""Llama 3's tokenizer with MiniCPM-V's tokens in slots that Llama 3 had reserved."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast


class MiniCPMVTokenizerFast(PreTrainedTokenizerFast):
    """The tokens around images and slices, and the end of a turn, by name."""

    im_start = "<image>"
    im_end = "</image>"
    slice_start = "<slice>"
    slice_end = "</slice>"
    eot_token = "<|eot_id|>"

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
    def eot_id(self) -> int:
        return self.id_of(self.eot_token)

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
