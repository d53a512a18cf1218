"""Every difference between library versions. Nothing is imported before it is asked for."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import vision_transforms
from harness.refusal import Lacking, Refused

LIBRARIES = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "deepspeed", "torchvision")


@functools.cache
def versions() -> dict[str, str]:
    """The installed version of each library that can change a trace, and of Python."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def has(library: str) -> bool:
    """Whether a library can be imported, found out without importing it. A folder of its name is no library."""
    spec = importlib.util.find_spec(library)
    return spec is not None and spec.origin is not None


def release(library: str) -> tuple[int, ...]:
    """The first two numbers of a library's version, to compare with: (4, 57)."""
    return tuple(int(part) for part in versions()[library].split("+")[0].split(".")[:2])


@dataclass(frozen=True)
class Since:
    """The release of a library that something needs, and what it is that earlier ones lack."""

    library: str
    first: tuple[int, int]
    why: str


def refuse_older(name: str, needs: tuple[Since, ...]) -> None:
    """Refuse what the installed libraries are too old for, by name, before anything of them is imported."""
    for one in needs:
        if one.library in versions() and release(one.library) < one.first:
            first = ".".join(map(str, one.first))
            what = f"{name} needs {one.library} {first}, and {versions()[one.library]} is installed: {one.why}"
            raise Lacking(what, do=f"pip install '{one.library}>={first}'")


def refuse_without_image_processors(name: str) -> None:
    """transformers 5.4 to 5.17 take the file of AutoImageProcessor for one of a processor on torchvision."""
    if (5, 4) <= release("transformers") < (5, 18) and not has("torchvision"):
        what = f"{name} has pictures, and transformers {versions()['transformers']} loads no image processor"
        do = "pip install --no-deps torchvision, whose transforms are enough, or 'transformers>=5.18'"
        raise Refused(f"{what} where there is no torchvision", do=do)


def dtype_argument(dtype: Any) -> dict[str, Any]:
    """The keyword under which from_pretrained takes a dtype: renamed in transformers 4.56."""
    return {"dtype" if release("transformers") >= (4, 56) else "torch_dtype": dtype}


def attention_argument(attention: str | None) -> dict[str, Any]:
    """The keyword under which from_pretrained takes how attention is computed; none where the library is to choose."""
    return {"attn_implementation": attention} if attention else {}


def auto_class(directory: Path, trust_remote_code: bool = False) -> Any:
    """The Auto class by which a stranger loads a directory: that of image-text-to-text models (AutoModelForVision2Seq
    before transformers 4.46, and of some types until 5), unless its configuration names or knows only another one."""
    import transformers

    named_so = (getattr(transformers, name, None) for name in ("AutoModelForImageTextToText", "AutoModelForVision2Seq"))
    first, *others = filter(None, named_so)
    config = transformers.AutoConfig.from_pretrained(directory, trust_remote_code=trust_remote_code)
    named = getattr(config, "auto_map", None) or {}
    for candidate in (first, *others, transformers.AutoModel, transformers.AutoModelForCausalLM):
        if candidate.__name__ in named:
            return candidate
    candidates = (first, *others, transformers.AutoModelForCausalLM)
    return next((one for one in candidates if type(config) in one._model_mapping), first)


def turn_on_checkpointing(model: Any, reentrant: bool = False) -> None:
    """Non-reentrant, unless asked: the reentrant kind gives no gradient where no input of a layer wants one, as under a
    frozen tower (peft #2880) or frozen embeddings, whose output is made to want one.

    transformers 5.23 calls it activation checkpointing.
    """
    options = {"use_reentrant": reentrant}
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
    hooked = getattr(model, "_require_grads_hooks", None) or getattr(model, "_require_grads_hook", None)
    if reentrant and not hooked:  # transformers 5 does it by itself for models of text; twice, and half is never undone
        model.enable_input_require_grads()


def turn_off_checkpointing(model: Any) -> None:
    """Every layer keeps what it has computed again. A model that knows no checkpointing has none to be turned off."""
    for name in ("activation_checkpointing_disable", "gradient_checkpointing_disable"):
        if hasattr(model, name):
            getattr(model, name)()
            return


@contextmanager
def loading_in_one_thread() -> Iterator[None]:
    """Within, from_pretrained makes its tensors in the thread that calls it, which is the one that torch's profiler
    sees: transformers 5 has others make them. What there is of memory at a time is the same."""
    name = "HF_DEACTIVATE_ASYNC_LOAD"
    before, os.environ[name] = os.environ.get(name), "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        os.environ.update({} if before is None else {name: before})


def use_modules_cache(directory: Path) -> None:
    """Where code files of model directories are copied before they run, a place for each process: transformers copies
    without a lock. What came from another place is forgotten: a package stays where it was first found."""
    import transformers.dynamic_module_utils as used

    sys.path[:] = [place for place in sys.path if place != used.HF_MODULES_CACHE]
    for name in [one for one in sys.modules if one.partition(".")[0] == "transformers_modules"]:
        del sys.modules[name]
    used.HF_MODULES_CACHE = str(directory)


def folder_of_code(name: str) -> str:
    """A name for a folder of code files: before transformers 4.57 one with a dot is no name of a module."""
    return name if release("transformers") >= (4, 57) else name.replace(".", "_")


def image_token_id(processor: Any) -> int:
    """The token in whose place features of a picture go; LLaVA's processor says it since transformers 4.50."""
    known = getattr(processor, "image_token_id", None)
    found: int = processor.tokenizer.convert_tokens_to_ids(processor.image_token) if known is None else known
    return found


def pil_image_processor(name: str) -> Any:
    """An image processor on PIL. transformers 5 has it under its own name; before, the plain name was on PIL."""
    import transformers

    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


def processor_of_pictures(name: str, image_processor: Any, tokenizer: Any, chat_template: str | None = None) -> Any:
    """A processor that takes videos too, for pictures alone: its part for videos needs torchvision, and only says here
    what the processor asks it about slices. Without torchvision the library knows no class that it could be of."""
    import transformers
    from transformers.video_processing_utils import BaseVideoProcessor

    kind = getattr(transformers, name)

    def checked(self: Any, part: str, argument: Any) -> Any:
        return (
            type(argument) if part == "video_processor" else kind.check_argument_for_proper_class(self, part, argument)
        )

    alone = type(name, (kind,), {"check_argument_for_proper_class": checked, "__module__": kind.__module__})
    videos = BaseVideoProcessor(slice_mode=image_processor.slice_mode, downsample_mode=image_processor.downsample_mode)
    return alone(image_processor, videos, tokenizer, chat_template=chat_template)


def pictures_alone(directory: Path) -> Any:
    """The processor of a directory; where torchvision is missing, without its part for videos."""
    import json

    from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer

    if has("torchvision"):
        return AutoProcessor.from_pretrained(directory)
    name = json.loads((Path(directory) / "processor_config.json").read_text(encoding="utf-8"))["processor_class"]
    tokenizer = AutoTokenizer.from_pretrained(directory)
    images = AutoImageProcessor.from_pretrained(directory)
    return processor_of_pictures(name, images, tokenizer, tokenizer.chat_template)


def grad_scaler(device: str, **options: Any) -> Any:
    """A gradient scaler for a device type; torch.amp.GradScaler came with torch 2.3."""
    import torch

    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device, **options)
    return torch.cuda.amp.GradScaler(**options)


def aligned(model: Any) -> Any:
    """The model, each parameter at an address that memory of its own would have.

    A product with a single row, such as one token for an expert, is summed in an order that depends on where the matrix
    begins, and what is mapped from a file begins anywhere.
    """
    for parameter in model.parameters():
        if not parameter.is_meta and parameter.data_ptr() % 64:
            parameter.data = parameter.data.clone()
    return model


def quiet() -> None:
    """Turn off what the libraries print for people who sit at a terminal, or say to each other."""
    import warnings

    vision_transforms.available()
    import transformers

    # peft asks transformers 5 for a property by its old name.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def environment() -> dict[str, Any]:
    """What a trace must say about where it was made: two traces with equal environments agree bit for bit."""
    import torch

    return {
        "versions": versions(),
        "torch_build": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": "cpu",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "image_backend": "torchvision" if has("torchvision") else "pil",
        **({"torchvision": "transforms only"} if vision_transforms.available() == vision_transforms.ALONE else {}),
        "offline": os.environ.get("HF_HUB_OFFLINE") == "1",
    }


def llama_tokenizer(vocab: dict[str, int], merges: list[tuple[str, str]], **options: Any) -> Any:
    """A Llama tokenizer from vocabulary and merges: transformers 5 takes them, 4 a finished tokenizers object."""
    from transformers import LlamaTokenizerFast

    if release("transformers") >= (5, 0):
        return LlamaTokenizerFast(vocab=vocab, merges=merges, **options)
    return LlamaTokenizerFast(tokenizer_object=llama_core(vocab, merges), **options)


def llama_core(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    """The tokenizers object that transformers 5 makes by itself, and 4 wants to be given."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    core = Tokenizer(models.BPE(vocab=vocab, merges=merges, fuse_unk=True, byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return core


def keeps_frozen_on_loading() -> bool:
    """Whether from_pretrained leaves parameters frozen that the code of a model freezes: transformers 5 thaws all."""
    return release("transformers") < (5, 0)


def saved_as_in_memory(asked: bool) -> dict[str, bool]:
    """What save_pretrained is told to write tensors as they lie in memory: transformers 4 knows nothing else."""
    return {"save_original_format": False} if asked and release("transformers") >= (5, 0) else {}


@dataclass(frozen=True)
class LoraTargets:
    """What an adapter of peft is put on: modules, single tensors by the end of their path, and by pattern the ranks of
    those whose rank is another than that of the rest."""

    modules: str | Collection[str]
    tensors: Collection[str] = ()
    ranks: Mapping[str, int] = field(default_factory=dict)


def lora_targets(model: Any, targets: str | Collection[str], rank: int) -> LoraTargets:
    """What peft makes of targets on this model. transformers 5 holds the experts of a layer in one tensor, and peft
    then takes names of their layers for the name of that tensor. Raises ValueError where it takes none of them."""
    try:
        from peft import LoraConfig
        from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
    except ImportError:  # a peft, or a transformers, that knows nothing of it
        return LoraTargets(targets)
    config = LoraConfig(r=rank, target_modules=targets if isinstance(targets, str) else list(targets))
    convert_peft_config_for_transformers(config, model, None)
    return LoraTargets(config.target_modules or (), config.target_parameters or (), config.rank_pattern or {})
