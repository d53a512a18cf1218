"""What the published code cannot do, known from the recipe alone.

Each raises Refused, with the remedy, for a recipe that would fail in the middle of training.
"""

from __future__ import annotations

from harness.recipe import Recipe
from harness.refusal import Refused

LLM_TYPES = ("llama3", "qwen", "minicpm")  # all that the script knows; it takes any other word for the last of them


def refuse_another_llm_type(recipe: Recipe, own: str) -> None:
    """The script chooses a conversation's form by llm_type and says nothing where it does not know the word."""
    given = recipe.data.template
    if given in (None, own):
        return
    what = f"data.template {given}: {recipe.family} was trained with {own}"
    if given not in LLM_TYPES:
        what += f", and the script takes a word that it does not know for {LLM_TYPES[-1]}"
    raise Refused(what, do=f"set data.template: {own}, or leave it out")


def _text_beside_pictures(recipe: Recipe) -> None:
    """The model stacks the target sizes of a batch: a text sample has a list where the others have a tensor."""
    mix, size = recipe.data.mix, recipe.data.batch_size
    seen = recipe.steps * recipe.optimizer.accumulation * size
    for start in range(0, seen, size):
        kinds = [mix[place % len(mix)] for place in range(start, start + size)]
        if "text" in kinds and set(kinds) != {"text"}:
            raise Refused(
                f"data.mix: micro-batch {start // size} holds {' and '.join(kinds)}: this model cannot take text "
                "beside images in one batch",
                do=f"order the mix so that text fills whole batches of {size}, or set data.batch_size: 1",
            )


def _checkpointing_over_frozen_embeddings(recipe: Recipe) -> None:
    """Checkpointing makes the embeddings' output require a gradient; features are then written into a leaf in place."""
    kept = recipe.peft.modules_to_save if recipe.peft else ()
    trained = any(tune.component == "embeddings" for tune in recipe.tune) or "embed_tokens" in kept
    if recipe.checkpointing and not trained:
        raise Refused(
            "checkpointing beside frozen embeddings: this model writes image features into their output in place, "
            "which torch forbids where that output is made to require a gradient",
            do="add embeddings to tune, or turn checkpointing off",
        )


def _regularisation_of_no_loss(recipe: Recipe) -> None:
    """AdaLoRA adds its regularisation to the loss that the model returns, and says nothing where there is none."""
    adapter = recipe.peft
    if adapter and adapter.method == "adalora" and adapter.options.get("orth_reg_weight", 0.5) != 0:
        raise Refused(
            "adapter.options.orth_reg_weight beside a loss that is computed outside: this model returns logits alone, "
            "so that AdaLoRA's regularisation would be added to nothing",
            do="set orth_reg_weight: 0",
        )


def _prompts_before_a_dict(recipe: Recipe) -> None:
    """peft reads input_ids or inputs_embeds of the forward's own arguments, and raises where there is neither."""
    if recipe.peft and recipe.peft.is_prompt:
        raise Refused(
            f"adapter.method {recipe.peft.method}: peft puts prompts before input_ids, and this model's forward takes "
            "one dict",
            do="use a method that sits on layers, such as lora or ia3",
        )


def prefixes_before_linear_attention(recipe: Recipe) -> None:
    """What peft puts before is keys and values, which layers of linear attention have none of."""
    if recipe.peft and recipe.peft.method == "prefix_tuning":
        raise Refused(
            "adapter.method prefix_tuning: prefixes are keys and values of earlier tokens, and layers of linear "
            "attention keep a state instead",
            do="use prompt_tuning, or a method that sits on layers, such as lora",
        )


OF_ONE_DICT = (_regularisation_of_no_loss, _prompts_before_a_dict)
OF_2_6 = (_checkpointing_over_frozen_embeddings, *OF_ONE_DICT)
OF_2_5 = (_text_beside_pictures, _checkpointing_over_frozen_embeddings, *OF_ONE_DICT)
