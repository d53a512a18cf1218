"""Intents read off commands: the published ones against the families' own intents, and no word of one is lost."""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.families import family
from harness.intent import Intent
from harness.intents import applied
from harness.intents.commands import SYSTEMS, read_command
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.trace.reader import Trace

if TYPE_CHECKING:
    from torch import nn

HF = "--output_dir out --bf16 True --num_train_epochs 1 --per_device_train_batch_size 1"
MGM = (
    "deepspeed mgm/train/train_mem.py --deepspeed ./scripts/zero2_offload.json --version v1 --image_size_aux 768 "
    f"--model_name_or_path model_zoo/LLM/vicuna/7B-V1.5 {HF}"
)
CPM = (
    f"torchrun --nproc_per_node 8 finetune.py --model_name_or_path openbmb/MiniCPM-Llama3-V-2_5 --llm_type llama3 {HF}"
)
QKVO = r"llm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj|o_proj)"
OMNI = f"torchrun train_omnilmm.py {HF}"
SETTINGS = {"precision": "pure-bf16"}
MGM_LINEAR = r"model\.layers\.\d+\..*\b(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
# A command, the family whose model it trains, and the tuning mode of its tables that comes to the same.
PUBLISHED: list[tuple[str, str, str]] = [
    (f"{MGM} --tune_mm_mlp_adapter True", "mini-gemini-7b", "stage-1"),
    (MGM, "mini-gemini-7b", "stage-2"),
    (f"{MGM} --freeze_backbone True", "mini-gemini-7b", "freeze_backbone"),
    (f"{MGM} --freeze_mm_mlp_adapter True", "mini-gemini-7b", "freeze_mm_mlp_adapter"),
    (f"{MGM} --optimize_vision_tower True", "mini-gemini-7b", "optimize_vision_tower"),
    (f"{MGM} --optimize_vision_tower_aux True", "mini-gemini-7b", "optimize_vision_tower_aux"),
    (f"{MGM} --optimize_vision_tower --optimize_vision_tower_aux", "mini-gemini-7b", "optimize_both_towers"),
    (f"{MGM} --lora_enable True", "mini-gemini-7b", "lora"),
    (CPM, "minicpm-llama3-v-2.5", "full"),
    (f"{CPM} --tune_vision false", "minicpm-llama3-v-2.5", "llm+connector"),
    (f"{CPM} --tune_llm false", "minicpm-llama3-v-2.5", "vision+connector"),
    (f"{CPM} --tune_vision=False --tune_llm=false", "minicpm-llama3-v-2.5", "connector"),
    (f"{CPM} --tune_vision false --tune_llm false --use_lora", "minicpm-llama3-v-2.5", "lora-qkv"),
    (f"{CPM} --tune_vision false --tune_llm false --use_lora true --lora_target_modules '{QKVO}'",
     "minicpm-llama3-v-2.5", "lora-qkvo"),
    (f"{CPM} --tune_vision true --tune_llm false --use_lora true", "minicpm-llama3-v-2.5", "lora-qkv+vision"),
    ("torchrun --nproc_per_node 2 train_full_sft.py --epochs 2 --dtype bfloat16", "minimind-v3", "full"),
    ("python trainer/train_lora.py --lora_name medical", "minimind-v3", "native-lora"),
    ("python trainer/train_pretrain_vlm.py", "minimind-3v", "freeze_llm-2"),
    ("python trainer/train_sft_vlm.py", "minimind-3v", "freeze_llm-1"),
    ("python trainer/train_sft_vlm.py --freeze_llm 0", "minimind-3v", "freeze_llm-0"),
    (f"{OMNI} --tune_clip True", "omnilmm-12b", "full"),
    (f"{OMNI} --tune_clip True --tune_mm_mlp_adapter True", "omnilmm-12b", "tune_mm_mlp_adapter"),
]  # fmt: skip


@cache
def at_full_size(name: str) -> Trace:
    """A trace that holds the names of a full model, and that everything of it trains."""

    model = family(name).meta_model("full")
    paths = [path for path, _ in model.named_parameters()]
    several = [path for path, _ in model.named_parameters(remove_duplicate=False) if path not in paths]
    by_tensor = {id(tensor): path for path, tensor in model.named_parameters()}
    everyone = dict(model.named_parameters(remove_duplicate=False))
    ties: dict[str, list[str]] = {}
    for path in several:
        ties.setdefault(by_tensor[id(everyone[path])], []).append(path)
    modules: list[tuple[str, nn.Module]] = list(model.named_modules())
    kinds = [f"{type(module).__module__}.{type(module).__qualname__}" for _, module in modules]
    count = len(paths)
    events: list[dict[str, Any]] = [
        {"kind": "model", "modules": {"path": [path for path, _ in modules], "type": kinds}, "adapters": {}},
        {"kind": "parameters", "model": "model0", "path": paths, "ties": ties, "shape": [[1]] * count,
         "dtype": ["bfloat16"] * count, "role": ["base"] * count, "requires_grad": [True] * count,
         "fingerprint": [""] * count, "rms": [0] * count},
    ]  # fmt: skip
    return Trace(Path(), {}, events=events)


def asked(name: str, mode: str) -> Intent:
    """The family's own intent of a tuning mode, at full size."""
    chosen = family(name)
    settings = {"trust_remote_code": True, "family": name, **chosen.modes()[mode]}
    settings["data"] = {"mix": ["image"], **settings.get("data", {})}
    return chosen.intent(Recipe.model_validate(settings).model_copy(update={"size": "full"}))


@pytest.mark.parametrize(("command", "name", "mode"), PUBLISHED, ids=[f"{name}-{mode}" for _, name, mode in PUBLISHED])
def test_a_published_command_promises_what_the_family_does(command: str, name: str, mode: str) -> None:
    read, wanted = read_command(command), asked(name, mode)
    trace = at_full_size(name)

    found = applied(read.intent, trace)

    named = trace.named_by(found.naming)
    trained, meant = (
        {p.key for p in named.parameters if one.names_as_trained(p.key) and not one.is_fixed(p.key)}
        for one in (found, wanted)
    )
    assert (read.intent.family, read.unknown) == (name, ())
    assert trained == meant
    assert (found.components, found.fixed, found.ties) == (wanted.components, wanted.fixed, wanted.ties)
    assert {p.key for p in named.parameters if not found.reaches(p.key)} == {
        p.key for p in named.parameters if not wanted.reaches(p.key)
    }
    if wanted.adapter is None:
        assert found.adapter is None
    else:
        assert found.adapter is not None
        numbers = ("method", "components", "rank", "alpha", "dropout", "bias")
        if mode == "native-lora":
            numbers = ("method", "components")
        assert [getattr(found.adapter, one) for one in numbers] == [getattr(wanted.adapter, one) for one in numbers]
        if name.startswith("mini"):
            assert mode == "native-lora" or found.adapter.targets == wanted.adapter.targets


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (f"{MGM} --tune_mm_mlp_adapter True", {"precision": "pure-bf16",
                                               "zero": {"stage": 2, "offload_optimizer": True}}),
        (f"{MGM} --mm_projector_lr 2e-5 --learning_rate 1e-5 --lr_multi model.vlm_uni:2 --max_steps 9",
         {"optimizer": {"learning_rate": 1e-5, "schedule": "linear", "weight_decay": 0.0,
                        "rate_factors": {"mm_projector": 2.0}}, "steps": 9}),
        (f"{CPM} --fp16 --bf16 false --tune_llm false --deepspeed ds_config_zero2.json",
         {"precision": "pure-fp16", "zero": {"stage": 2}, "clip_norm": 1.0, "processes": 8}),
        ("python train_full_sft.py --use_moe 1 --hidden_size 768 --dtype float16 --accumulation_steps 8",
         {"family": "minimind-v3-moe", "precision": "fp16", "accumulation": 8, "scaler_rule": "fp16"}),
        ("python train_full_sft.py --use_moe False", {"family": "minimind-v3-moe"}),
        ("python train_full_sft.py --hidden_size 512", {"family": None}),
        ("python llava/train/train_mem.py --freeze_backbone True --bf16 True", {"trainable": ["connector", "lm_head"]}),
        ("python llava/train/train_mem.py --tune_mm_mlp_adapter True", {"trainable": ["connector"], "precision": None}),
        ("trl sft --use_peft --lora_target_modules all-linear --lora_modules_to_save lm_head --dtype float32 --bf16",
         {"trainable": ["lm_head"], "precision": "bf16", "accumulation": 1}),
        ("python -m trl.scripts.sft --dtype bfloat16 --bf16 True --no_gradient_checkpointing",
         {"trainable": ["all"], "precision": "pure-bf16", "checkpointing": None}),
        ("accelerate launch --num_processes 4 --gradient_accumulation_steps 2 sft_vlm.py --output_dir x",
         {"processes": 4, "accumulation": 2}),
        ("accelerate launch --use_deepspeed --zero_stage 3 sft.py --output_dir x", {"zero": {"stage": 3}}),
        ("deepspeed --include localhost:0,1,3 sft.py --attn_implementation eager",
         {"processes": 3, "attention": "eager"}),
        ("A=1 python3 -u -m torch.distributed.run --nproc_per_node=2 --nnodes=3 train.py --output_dir x --tf32 false",
         {"processes": 6, "tf32": False}),
        ("torchrun train.py --output_dir x --max_grad_norm 0 --lr_scheduler_type constant_with_warmup "
         "--learning_rate 1e-4 --warmup_steps 3 --weight_decay 0.1",
         {"clip_norm": None, "optimizer": {"learning_rate": 1e-4, "schedule": "constant", "weight_decay": 0.1,
                                           "warmup_steps": 3, "warmup_from_zero": True}}),
    ],
)  # fmt: skip
def test_what_other_flags_promise(command: str, settings: dict[str, Any]) -> None:
    found = read_command(command).intent.model_dump(mode="json", exclude_unset=True)

    assert {name: found.get(name) for name in settings} == settings


def test_a_configuration_file_of_llama_factory_and_what_goes_over_it(tmp_path: Path) -> None:
    config = tmp_path / "lora.yaml"
    config.write_text(
        "model_name_or_path: llava-hf/llava-1.5-7b-hf\nstage: sft\nfinetuning_type: lora\nlora_target: q_proj,v_proj\n"
        "freeze_vision_tower: false\nbf16: true\ngradient_accumulation_steps: 8\nnew_setting: 3\nlora_rank: 4\n"
    )

    read = read_command(f"FORCE_TORCHRUN=1 llamafactory-cli train {config} lora_rank=16 max_steps=3 strange=1")

    adapters = read.intent.adapter
    assert adapters is not None
    assert (adapters.targets, adapters.rank, adapters.alpha) == (("q_proj", "v_proj"), 16, 32)
    assert adapters.components == ("language", "vision")
    assert (read.intent.precision, read.intent.accumulation, read.intent.steps) == ("bf16", 8, 3)
    assert read.unknown == ("new_setting: 3", "train", "strange=1") or set(read.unknown) == {
        "new_setting: 3",
        "strange=1",
    }
    full = read_command(
        f"llamafactory-cli train {config} finetuning_type=full freeze_multi_modal_projector=false"
    ).intent
    assert (full.trainable, full.adapter) == (("vision", "connector", "llm"), None)


def test_a_configuration_file_of_trl(tmp_path: Path) -> None:
    config = tmp_path / "sft.yaml"
    config.write_text("use_peft: true\nlora_target_modules: [q_proj]\nlora_r: 4\nodd: 1\n")

    read = read_command(f"trl sft --config {config} --lora_r 8")

    assert read.intent.adapter is not None
    assert (read.intent.adapter.targets, read.intent.adapter.rank) == (("q_proj",), 8)
    assert read.unknown == ("odd: 1",)


def test_a_deepspeed_json_at_hand_is_read(tmp_path: Path) -> None:
    config = tmp_path / "zero.json"
    config.write_text(json.dumps({"zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}},
                                  "gradient_clipping": 0.5}))  # fmt: skip

    found = read_command(f"deepspeed train.py --output_dir x --deepspeed {config}").intent

    assert found.zero is not None
    assert (found.zero.stage, found.zero.offload_parameters, found.clip_norm) == (3, True, 0.5)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("torchrun finetune.py --use_lora --tune_vision 0", "cannot simultaneously adjust LLM parameters"),
        ("torchrun finetune.py --tune_vision maybe", "--tune_vision maybe: is neither true nor false"),
        ("torchrun mgm/train.py --model_name_or_path a/mistralai/Mixtral", "makes the script choose the Mistral class"),
        ("torchrun train.py --output_dir x --max_steps many", "--max_steps many: is no number"),
        ("torchrun train.py --output_dir x --max_steps", "--max_steps has no value"),
        ("python x.py --lr 3", "x.py has flags of no system that is known; say whose they are: --system"),
        ("torchrun --nproc_per_node 2", "starts no script"),
        ("python 'x.py", "is no command"),
        ("llamafactory-cli train nowhere.yaml", "nowhere.yaml: cannot be read"),
        ("python mgm/t.py --lr_multi a", "--lr_multi a: is no list of name:factor"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_line(command: str, said: str) -> None:
    with pytest.raises(Refused) as caught:
        read_command(command)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_system_is_refused() -> None:
    with pytest.raises(Refused, match="did you mean minicpm-v"):
        read_command("python x.py", "minicpm")


def test_every_promise_is_said_and_every_flag_has_a_place() -> None:
    for system in SYSTEMS.values():
        assert all(flag.promises == flag.promises.strip() for flag in system.TABLE.values())
        assert len({name for name, flag in system.TABLE.items() if flag.promises}) >= 8


WORDS = st.text("abcxyz019./:=-_", min_size=1, max_size=8).filter(lambda word: not word.startswith("-"))
VALUES: dict[str, st.SearchStrategy[list[str]]] = {
    "bool": st.sampled_from([[], ["True"], ["false"]]),
    "switch": st.just([]),
    "int": st.integers(0, 99).map(lambda number: [str(number)]),
    "float": st.floats(0, 9, allow_nan=False).map(lambda number: [f"{number:g}"]),
    "list": st.lists(st.integers(0, 9).map(str), min_size=1, max_size=3),
    "text": WORDS.map(lambda word: [word]),
}


@st.composite
def commands(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A system, and a command line of some of its flags and of some that it does not know."""
    name = draw(st.sampled_from(sorted(SYSTEMS)))
    table = SYSTEMS[name].TABLE
    known = draw(st.lists(st.sampled_from(sorted(table)), unique=True, max_size=12))
    given = [[f"--{flag}", *draw(VALUES[table[flag].kind])] for flag in known]
    strange = draw(st.lists(st.text("qwxz", min_size=6, max_size=9), unique=True, max_size=4))
    given += [[f"--{flag}", *draw(st.lists(WORDS, max_size=2))] for flag in strange]
    return name, [word for one in draw(st.permutations(given)) for word in one]


@given(commands())
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_no_word_of_a_command_is_lost(case: tuple[str, list[str]]) -> None:
    system, words = case
    try:
        read = read_command(f"torchrun train_full_sft.py {shlex.join(words)}", system)
    except Refused:
        return  # what the system's own script would refuse
    shown = [*read.promised, *read.unjudged, *read.silent, *read.unknown]

    assert sorted(word for one in shown for word in one.split()) == sorted(words)
