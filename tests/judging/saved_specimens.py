"""Specimens of what is saved, and of what training starts from: faults that are found, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]

BASE = "base_model.model."
Q0 = f"{BASE}language.layers.0.q_proj"
CONNECTOR = "connector.modules_to_save.default.weight"
ORIGINAL = "connector.original_module.weight"
VISION = "vision.norm.weight"
TIE = ["connector.weight", "language.layers.0.fc.weight"]
PICKLE = {"pytorch_model.bin": {"pickled": True}}


def whole(*alterations: Alteration) -> Alteration:
    """Of a run that saves the whole model."""
    return lambda e: (e.saves("full"), *(alter(e) for alter in alterations))


def trained(*alterations: Alteration) -> Alteration:
    """Of a run that saves what was trained."""
    return lambda e: (e.saves("partial"), *(alter(e) for alter in alterations))


def grown(*alterations: Alteration) -> Alteration:
    """Of a run that adds tokens."""
    return lambda e: (e.adds_tokens(), *(alter(e) for alter in alterations))


def tied(e: Evidence) -> None:
    """Two parameters share one tensor, as published, in training and after loading."""
    e.intent["ties"] = [TIE]
    paths = e.one("parameters")["path"]
    ties = {
        path: [other] for path in paths if path.endswith(CONNECTOR) for other in paths if other.endswith("0.fc.weight")
    }
    e.one("parameters")["ties"] = ties
    e.reloaded["ties"] = ties


def tensor(e: Evidence, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = e.saved["tensors"][name]
    return facts


# What a check needs before there is anything to be silent about.
SETTINGS: dict[str, Alteration] = {"saved_tensors_as_trained": whole(), "embeddings_resized": grown()}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "saved_directory_loads": [
        ("WrongBase", "another", lambda e: e.reloaded.update(adapter_fit="no module", model_error="ValueError: m")),
        ("DirectoryDoesNotLoad", "error", lambda e: e.reloaded.update(model_error="OSError: no file")),
        ("KeysLost", "missing", lambda e: e.reloaded.update(missing=["a"])),
        ("KeysLost", "unexpected", lambda e: e.reloaded.update(unexpected=["a"])),
        ("KeysLost", "of another shape", lambda e: e.reloaded.update(mismatched=["a"])),
        ("KeysLost", "of the adapter", lambda e: e.reloaded.update(adapter_warnings=["missing keys: a"])),
        ("OtherClass", "one", lambda e: e.reloaded.update(model_class="DemoModel")),
    ],
    "reloaded_parameters_equal": [
        ("ParametersDiffer", "one", lambda e: e.reloaded["fingerprints"].update({f"{BASE}{CONNECTOR}": "start-3"})),
        ("ParametersDiffer", "a frozen one", lambda e: e.reloaded["fingerprints"].update({f"{BASE}{VISION}": "?"})),
        ("ParametersDiffer", "gone", lambda e: e.reloaded["fingerprints"].pop(f"{Q0}.lora_B.default.weight")),
    ],
    "reloaded_outputs_equal_image": [
        ("OutputsDiffer", "image", lambda e: e.reloaded["outputs"].update(image="?")),
        ("OutputsDiffer", "error", lambda e: e.reloaded.update(outputs_error="RuntimeError: m")),
    ],
    "reloaded_outputs_equal_text": [
        ("OutputsDiffer", "text", lambda e: e.reloaded["outputs"].update(text="?")),
        ("OutputsDiffer", "gone", lambda e: e.reloaded["outputs"].pop("text")),
    ],
    "processor_reloads": [
        ("ProcessorLost", "tokenizer", lambda e: e.reloaded.update(processor_class="DemoTokenizerFast")),
        ("ProcessorLost", "none", lambda e: (
            e.reloaded.pop("processor_class"), e.reloaded.update(processor_error="OSError: m"))),
        ("ProcessorLost", "does not encode", lambda e: e.reloaded.update(processor_error="ValueError: m")),
        ("ProcessorDiffers", "other pixels", lambda e: e.reloaded["encoded"]["image"].update(pixel_values="?")),
        ("ProcessorDiffers", "other tokens", lambda e: e.reloaded["encoded"]["text"].update(input_ids="?")),
        ("ProcessorDiffers", "pixels gone", lambda e: e.reloaded["encoded"]["image"].pop("pixel_values")),
        ("ProcessorDiffers", "batch gone", lambda e: e.reloaded["encoded"].pop("text")),
    ],
    "base_directory_sound": [
        ("BaseBroken", "does not load", lambda e: e.base[0].update(model_error="OSError: m")),
        ("BaseBroken", "a key missing", lambda e: e.base[0].update(missing=["a"])),
        ("BaseBroken", "a tokenizer for a processor", lambda e: e.base[0].update(processor_class="XTokenizerFast")),
        ("BaseBroken", "does not encode", lambda e: e.base[0].update(encoding_error="ValueError: m")),
        ("BaseBroken", "does not generate", lambda e: e.base[0].update(outputs_error="ValueError: m")),
    ],
    "reloaded_generation_equal": [
        ("GenerationDiffers", "one id", lambda e: e.reloaded["generated"]["text"].__setitem__(0, 5)),
        ("GenerationDiffers", "one id fewer", lambda e: e.reloaded["generated"]["image"].pop()),
        ("GenerationDiffers", "error", lambda e: e.reloaded.update(outputs_error="ValueError: m")),
    ],
    "saved_directory_complete": [
        ("FileMissing", "the processor", lambda e: e.saved["roles"].pop("processor")),
        ("FileMissing", "the chat template", lambda e: e.saved["roles"].pop("chat template")),
        ("FileMissing", "one that is asked for by name", lambda e: e.intent["save"].update(files=["a.json"])),
        ("CodeMissing", "one", lambda e: e.saved["code"]["missing"].append("a.py")),
        ("DirectoryNotListed", "no inventory", lambda e: e.stream.pop(0)),
    ],
    "saved_files_agree": [
        ("FilesDisagree", "one", lambda e: e.saved["problems"].append("m")),
        ("DirectoryNotListed", "no inventory", lambda e: e.stream.pop(0)),
    ],
    "nothing_pickled": [
        ("Pickled", "one", lambda e: e.saved["files"].update(PICKLE)),
        ("Pickled", "a native file that was not asked for", lambda e: e.saved["files"].update(
            {"model.pth": {"pickled": True}})),
        ("DirectoryNotListed", "no inventory", lambda e: e.stream.pop(0)),
    ],
    "saved_tensors_as_trained": [
        ("TensorNotSaved", "one", whole(lambda e: e.saved["tensors"].pop(CONNECTOR))),
        ("TensorNotSaved", "of what was trained", trained(lambda e: e.saved["tensors"].pop(CONNECTOR))),
        ("TensorDiffers", "one", whole(lambda e: tensor(e, CONNECTOR).update(fingerprint="?"))),
        ("TensorDiffers", "another precision", whole(lambda e: tensor(e, CONNECTOR).update(dtype="BF16"))),
        ("TensorUnasked", "one", whole(lambda e: e.saved["tensors"].update(extra=tensor(e, CONNECTOR)))),
        ("TensorUnasked", "a frozen one", trained(lambda e: e.saved["tensors"].update(
            {VISION: tensor(e, CONNECTOR)}))),
        ("FrozenSavedAltered", "one", whole(
            lambda e: e.header["base"][f"{VISION}"].update(float32="?"))),
    ],
    "ties_kept": [
        ("TiedWrongly", "while training", lambda e: (tied(e), e.intent.update(ties=[]), e.reloaded.update(ties={}))),
        ("TiedWrongly", "after loading", lambda e: (tied(e), e.reloaded.update(ties={}))),
        ("TiedWrongly", "lost while training", lambda e: (tied(e), e.one("parameters").update(ties={}))),
        ("StoredTwice", "one", lambda e: (tied(e), e.saved["tensors"].update({key: {} for key in TIE}))),
    ],
    "chat_template_kept": [
        ("TemplateChanged", "another", lambda e: e.reloaded.update(chat_template="k")),
        ("TemplateChanged", "none", lambda e: e.reloaded.update(chat_template=None)),
        ("TemplateChanged", "one too many", lambda e: e.base[0].update(chat_template=None)),
        ("TemplateChanged", "no tokenizer", lambda e: e.reloaded.update(tokenizer_error="OSError: m")),
    ],
    "vocabulary_covers_ids": [
        ("IdBeyondVocabulary", "of the tokenizer", lambda e: e.reloaded["vocabulary"].update(largest=9)),
        ("IdBeyondVocabulary", "of the configuration", lambda e: (
            e.reloaded["vocabulary"]["ids"].update(pad_token_id=9))),
        ("IdBeyondVocabulary", "no tokenizer", lambda e: e.reloaded.pop("vocabulary")),
    ],
    "embeddings_resized": [
        ("EmbeddingsNotGrown", "in training", grown(
            lambda e: e.one("encoded").update(tokens=3), lambda e: e.reloaded["vocabulary"].update(tokens=3))),
        ("EmbeddingsNotGrown", "tokens lost", grown(lambda e: e.reloaded["vocabulary"].update(tokens=1))),
        ("EmbeddingsNotGrown", "rows lost", grown(lambda e: e.reloaded["vocabulary"].update(rows=1))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "saved_directory_loads": [("any class", lambda e: (
        e.intent["save"].update(model_class=None), e.reloaded.update(model_class="X")))],
    "reloaded_parameters_equal": [
        ("the original of a copy", lambda e: e.reloaded["fingerprints"].update({f"{BASE}{ORIGINAL}": "?"})),
        ("more than was trained", lambda e: e.reloaded["fingerprints"].update(extra="?")),
    ],
    "reloaded_outputs_equal_image": [("text differs", lambda e: e.reloaded["outputs"].update(text="?"))],
    "reloaded_outputs_equal_text": [("image differs", lambda e: e.reloaded["outputs"].update(image="?"))],
    "processor_reloads": [("inputs that training had not", lambda e: e.reloaded["encoded"]["text"].update(mask="m"))],
    "base_directory_sound": [("keys it does not use", lambda e: e.base[0].update(unexpected=["a"]))],
    "reloaded_generation_equal": [
        ("a batch more", lambda e: e.reloaded["generated"].update(other=[1])),
    ],
    "saved_directory_complete": [
        ("no processor was to be saved", lambda e: (
            e.intent["save"].update(processor_class=None), e.saved["roles"].pop("processor"),
            e.saved["roles"].pop("chat template"))),
        ("what is asked for by name is there", lambda e: (
            e.intent["save"].update(files=["a.json"]), e.saved["files"].update({"a.json": {}}))),
        ("the base has none either", lambda e: (
            e.header["base_roles"].pop("processor"), e.saved["roles"].pop("processor"))),
    ],
    "saved_files_agree": [("files more", lambda e: e.saved["files"].update(extra={}))],
    "nothing_pickled": [
        ("the trainer's own", lambda e: (
            e.saved["files"].update({"training_args.bin": {"pickled": True}}),
            e.saved["roles"].update(trainer=["training_args.bin"]))),
        ("asked for", lambda e: (
            e.intent["save"].update(what="native"), e.saved["files"].update({"model.pth": {"pickled": True}}))),
    ],
    "saved_tensors_as_trained": [
        ("what was trained alone", trained()),
        ("a persistent buffer", whole(lambda e: e.saved["tensors"].update({"vision.mean": {}}))),
    ],
    "ties_kept": [
        ("as published", lambda e: (tied(e), e.saved["tensors"].update({TIE[0]: {}}))),
    ],
    "chat_template_kept": [("neither has one", lambda e: (
        e.base[0].update(chat_template=None), e.reloaded.update(chat_template=None)))],
    "vocabulary_covers_ids": [("spare rows", lambda e: e.reloaded["vocabulary"].update(rows=99))],
    "embeddings_resized": [("a bias has no rows", grown(lambda e: e.put("parameters", "shape", VISION, [2])))],
}  # fmt: skip
