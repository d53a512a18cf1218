"""What is saved of an adapter, where that is not each of its parameters as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.checks.adapter_ranks import RANK_AXIS, last_values, owner, ranks_kept

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

PROMPT = "prompt_embeddings"  # peft's name in the file for what stands before the text
_PROMPT_TABLE = ".embedding.weight"


def as_saved(intent: Intent, trace: Trace) -> dict[int, str | None]:
    """By index of a parameter that is not saved as it is: the fingerprint of what is, None where it is not to be known.

    AdaLoRA leaves out what belongs to ranks that it has given away; of a module that has none left, nothing counts.
    P-tuning saves what its encoder computes, and not the encoder.
    """
    from harness.trace.array_fingerprint import fingerprint

    kept, values = ranks_kept(intent.adapter, trace), last_values(trace)
    known: dict[int, str | None] = {}
    for parameter in trace.parameters:
        rows = kept.get(owner(parameter))
        axis = next((axis for part, axis in RANK_AXIS.items() if part in parameter.path), None)
        if is_computed(intent, parameter):
            known[parameter.index] = None
        elif rows is not None and parameter.role == "adapter" and axis is not None and not rows.all():
            left = values[f"last/{parameter.index}"].compress(rows, axis=axis)
            known[parameter.index] = fingerprint(left, parameter.dtype)
        elif rows is not None and ".ranknum." in parameter.path and not rows.any():
            known[parameter.index] = None
    return known


def is_computed(intent: Intent, parameter: Parameter) -> bool:
    """Whether the parameter is of an encoder whose output is saved in its place."""
    return intent.adapter is not None and intent.adapter.method == "p_tuning" and parameter.role == "adapter"


def is_left_out(intent: Intent, parameter: Parameter) -> bool:
    """Whether nothing in the file stands for the parameter: an encoder's output stands for its table alone."""
    return is_computed(intent, parameter) and not is_prompt(parameter)


def is_prompt(parameter: Parameter) -> bool:
    """Whether the parameter is what stands before the text: one row for each virtual token."""
    return (
        parameter.role == "adapter" and "prompt_encoder." in parameter.path and parameter.path.endswith(_PROMPT_TABLE)
    )
