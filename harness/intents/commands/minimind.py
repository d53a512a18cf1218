"""MiniMind's and MiniMind-V's scripts in `trainer/`, by their names: each has defaults of its own.

The scaler is on exactly where fp16 is computed (since October 2025). What is saved is in 16 bits.
"""

from __future__ import annotations

from typing import Any

from harness.intents.commands.flags import Flag, Flags, silent
from harness.intents.commands.hf_arguments import processes_of
from harness.intents.commands.shell import Command

NAME, ABOUT = "minimind", "MiniMind's, trainer/"
TABLE: dict[str, Flag] = {
    "dtype": Flag("computes in this under autocast; weights are fp32", "text", "bfloat16"),
    "accumulation_steps": Flag("micro-batches of a step", "int"),
    "grad_clip": Flag("gradients are clipped to this norm", "float", 1.0),
    "hidden_size": Flag("the model's width, and a part of the file's name", "int", 768),
    "num_hidden_layers": Flag("the model's depth", "int", 8),
    "use_moe": Flag("the model has experts, and the file's name ends in _moe", "text", "0"),
    "freeze_llm": Flag("2: the projector alone trains, 1: the first and last layer too, 0: all but the encoder", "int"),
    "save_weight": Flag("the name of the saved file"),
    "learning_rate": Flag("the rate, which falls to a tenth as half a cosine, micro-batch by micro-batch", "float"),
    "device": Flag("on a CPU there is no autocast", "text", "cuda"),
    **silent("epochs", "batch_size", "save_dir", "save_interval", "log_interval", "num_workers", "max_seq_len",
             "data_path", "from_weight", "from_resume", "lora_name", "wandb_project", "use_compile", "out_dir",
             "warmup_iters", "local_rank", "seed"),
    **silent("use_wandb", "ddp", kind="switch"),
}  # fmt: skip
SEEING = ("train_pretrain_vlm", "train_sft_vlm")
# By script: what the saved file is called, micro-batches of a step, and for MiniMind-V what --freeze_llm is by default.
SCRIPTS: dict[str, tuple[str, int | None, int | None]] = {
    "train_pretrain_vlm": ("pretrain_vlm", None, 2),
    "train_sft_vlm": ("sft_vlm", None, 1),
    "train_full_sft": ("full_sft", None, None),
    "train_pretrain": ("pretrain", None, None),
    "train_lora": ("lora", None, None),
}
RANK = 16  # of its own adapters, a constant of the code; it was 8 from April 2025 to March 2026


def script_of(command: Command) -> str:
    return command.program.rpartition("/")[2].removesuffix(".py")


def is_its(command: Command) -> bool:
    return script_of(command) in SCRIPTS


def intent(flags: Flags, command: Command) -> dict[str, Any]:
    """What the flags promise, as settings of an intent file."""
    script = script_of(command)
    seeing, experts = script in SEEING, _experts(flags)
    published = (flags["hidden_size"], flags["num_hidden_layers"]) == (768, 8)
    family = {"family": f"minimind-{'3v' if seeing else 'v3'}{'-moe' if experts else ''}"} if published else {}
    flags.not_judged("learning_rate", "how many micro-batches there will be is not on the command line")
    settings: dict[str, Any] = {**family, "trainable": ["all"], "adapters": "none"}
    if seeing:
        settings["trainable"] = _seeing(flags, SCRIPTS[script][2])
    if script == "train_lora":
        settings |= {"trainable": [], "adapters": _own_adapters()}
    return {
        **settings,
        "precision": _precision(flags),
        "scaler_rule": "fp16",
        "accumulation": flags["accumulation_steps"],
        "clip_norm": flags["grad_clip"] or None,
        "processes": processes_of(command),
        "save": _save(flags, script, experts),
    }


def _experts(flags: Flags) -> bool:
    """The scripts of the second generation read any word as true: `--use_moe False` makes experts."""
    given = str(flags["use_moe"])
    if given.lower() in ("false", "true") and "use_moe" in flags:
        flags.quirks["use_moe"] = "the model has experts: type=bool reads every word as true, False too"
        return True
    return given not in ("0", "")


def _seeing(flags: Flags, by_default: int | None) -> list[str]:
    frozen = int(by_default or 0) if flags["freeze_llm"] is None else int(flags["freeze_llm"])
    ends = f"model.layers.{{0,{flags['num_hidden_layers'] - 1}}}"
    return {2: ["connector"], 1: ["connector", ends]}.get(frozen, ["connector", "llm"])


def _own_adapters() -> dict[str, Any]:
    """Upstream's own: two matrices on every square layer, which at these sizes are two of each attention."""
    return {"method": "minimind-lora", "components": ["language"], "targets": ["q_proj", "o_proj"], "rank": RANK}


def _precision(flags: Flags) -> str | None:
    if str(flags["device"]).startswith("cpu"):
        flags.not_judged("dtype", "on a CPU there is no autocast")
        return "fp32"
    known: dict[str, str] = {"bfloat16": "bf16", "float16": "fp16"}
    if flags["dtype"] not in known:
        flags.not_judged("dtype", "what the script computes in then is not known here")
    return known.get(flags["dtype"])


def _save(flags: Flags, script: str, experts: bool) -> dict[str, Any]:
    if script == "train_lora":  # a file of the adapter alone, in a format of its own
        flags.not_judged("save_weight", "the adapter's file is in a format of its own")
        return {"what": "nothing"}
    name = flags["save_weight"] or SCRIPTS[script][0]
    left_out = {"left_out": ["vision"]} if script in SEEING else {}
    file = f"{name}_{flags['hidden_size']}{'_moe' if experts else ''}.pth"
    return {"what": "native", "native_file": file, "half": True, "resume": True, "tokenizer": False, **left_out}
