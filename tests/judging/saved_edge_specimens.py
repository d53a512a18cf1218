"""Specimens at the edges of saving, of adapters and of what is learned: one more, one less, nothing said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from harness.checkpoint.files import PROJECTOR
from tests.judging.adapter_specimens import filed
from tests.judging.precision_specimens import all_give, asks, gives, goes_by
from tests.judging.rank_specimens import adalora
from tests.judging.saved_specimens import grown, tensor, tied, trained, whole

Evidence = Any
Alteration = Callable[[Evidence], object]

BASE = "base_model.model."
LAST = -1
Q0, Q1 = f"{BASE}language.layers.0.q_proj", f"{BASE}language.layers.1.q_proj"
CONNECTOR = "connector.modules_to_save.default.weight"
ORIGINAL = "connector.original_module.weight"
VISION, FC = "vision.norm.weight", "language.layers.0.fc.weight"
A0, A1 = "0.q_proj.lora_A.default.weight", "1.q_proj.lora_A.default.weight"
CODE = [f"code_{number}.py" for number in range(6)]


def adapter(e: Evidence, **settings: Any) -> None:
    e.intent["adapter"].update(settings)


def processor_gone(e: Evidence, *saved: str) -> None:
    """A tokenizer came back, and of the files that the base has for its processor these are there."""
    e.reloaded.update(processor_class="DemoTokenizerFast")
    e.header["base_roles"] = {"processor": ["processor.json"], "image processor": ["images.json"], "code": CODE}
    e.saved["files"] = {name: {} for name in saved}


def original_tied(e: Evidence) -> None:
    """What is tied is the original of a module that the adapter keeps a copy of."""
    tied(e)
    ties = {path.replace(CONNECTOR, ORIGINAL): others for path, others in e.reloaded["ties"].items()}
    e.one("parameters")["ties"] = e.reloaded["ties"] = ties


def same_logits(e: Evidence) -> None:
    """The loaded model gave the numbers that it gave before."""
    save_file({"image": np.ones((1, 2), dtype=np.float32)}, e.directory / "reload" / "b.safetensors")
    e.reloaded["arrays"] = "b.safetensors"
    e.reloaded["outputs"].update(image="-0.0 is 0.0")


def beside_a_base_layer(e: Evidence) -> None:
    """An adapter on a whole component, which has a name for the component alone."""
    e.intent["components"].insert(0, [r"language\.layers\.0\.fc\.", "lm_head"])
    adapter(e, components=["language", "lm_head"], targets=["q_proj", "fc"])
    modules = e.one("model")["modules"]
    modules["path"].append(f"{BASE}language.layers.0.fc.base_layer")
    modules["type"].append("torch.nn.modules.linear.Linear")
    e.one("model")["adapters"][f"{BASE}language.layers.0.fc"] = e.one("model")["adapters"][Q0]


def in_both_components(e: Evidence) -> None:
    """An adapter that reaches the tower and the language model, and changes nothing."""
    e.put("parameters", "role", "vision.layers.0.q_proj.weight", "adapter")
    e.probe("adapter_disabled")["effect"].update(image=0.0)


def projector(*alterations: Alteration) -> Alteration:
    """Of a run that saves a projector's file, which is for the tower's norm too."""

    def alter(e: Evidence) -> None:
        e.saves("partial")
        e.intent["save"].update(what="projector", holds=["vision\\.norm"])
        last = e.one("final")["fingerprint"][e.index(VISION)]
        e.saved["tensors"][VISION] = {"file": "a", "dtype": "F32", "shape": [2, 2], "fingerprint": last}
        for alteration in alterations:
            alteration(e)

    return alter


def labelled(e: Evidence) -> None:
    """The adapter has a name of its own."""
    record = e.one("parameters")
    record["path"] = [path.replace(".default", ".mine") for path in record["path"]]
    for facts in e.one("model")["adapters"].values():
        facts.update({name: {"mine": values["default"]} for name, values in facts.items()})


def key_in_file(e: Evidence, key: str, becomes: str) -> None:
    e.saved["tensors"][becomes] = e.saved["tensors"].pop(key)


def shared_with_a_later_layer(e: Evidence) -> None:
    """A factor of two layers, which is saved under the name of the second."""
    later = f"{BASE}language.layers.9.q_proj.lora_A"
    e.one("parameters")["ties"] = {f"{Q0}.lora_A.default.weight": [f"{later}.default.weight"]}
    key_in_file(e, f"{Q0}.lora_A.weight", f"{later}.weight")


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "adapters_where_intended": [
        ("AdapterUnasked", "on something that is no module", lambda e: (
            e.one("model")["adapters"].update({"stray": e.one("model")["adapters"][Q0]}))),
    ],
    "adapter_numbers_as_asked": [
        ("AdapterNumbers", "none is set", lambda e: e.one("model")["adapters"][Q1].update(r={})),
    ],
    "adapter_changes_outputs": [("AdapterWithoutEffect", "in two components", in_both_components)],
    "layers_compute_as_asked": [
        ("ComputedInOtherDtype", "a norm too, under fp32", lambda e: (
            asks(e, autocast=None, compute="float32"), all_give(e, "float32"), gives(e, 1, "bfloat16"))),
        ("ComputedInOtherDtype", "two dtypes", lambda e: (gives(e, 0, "float32"), gives(e, 4, "float16"))),
    ],
    "master_weights_in_fp32": [
        ("OptimizerStateLost", "both moments", lambda e: e.one("closing").update(
            optimizer_state_dtypes={"o": {"exp_avg": {"bfloat16": 2}, "exp_avg_sq": {"float16": 1}}})),
    ],
    "tf32_as_asked": [
        ("OtherTf32", "of a backend that is new", lambda e: e.one("forward")["tf32"].update(oneapi=True)),
    ],
    "scaler_rule_over_precisions": [
        ("ScalerByWrongRule", "where no dtypes were recorded", lambda e: (
            goes_by("fp16", "fp32 bf16 fp16")(e),
            [event.pop("dtypes") for run in e.partners.values() for event in run if event["kind"] == "forward"])),
    ],
    "pictures_in_order": [
        ("PicturesDiffer", "fewer of them than samples", lambda e: e.events.remove(e.one("forward", LAST))),
        ("PicturesDiffer", "more of them than samples", lambda e: e.events.insert(
            e.events.index(e.one("forward", LAST)), dict(e.one("forward", LAST)))),
        ("PicturesDiffer", "at two micro-batches", lambda e: [
            one.update(pixels="others") for one in e.all("forward")[1:3]]),
    ],
    "labels_present": [
        ("NoLabels", "where the loss is computed", lambda e: (
            e.one("forward", LAST).pop("labels"), e.one("backward", LAST).update(labels=0))),
        ("NoLabels", "two", lambda e: [one.update(labels=0) for one in e.all("forward")[-2:]]),
    ],
    "saved_directory_loads": [
        ("DirectoryDoesNotLoad", "with a loader of the user's", lambda e: (
            e.reloaded.update(model_error="OSError: m", loader="mine:load"))),
        ("KeysLost", "what was trained of a partial save", trained(
            lambda e: e.reloaded.update(missing=["vision.norm.weight", f"{Q0}.lora_A.default.weight"]))),
        ("KeysLost", "unexpected in a partial save", trained(
            lambda e: e.reloaded.update(unexpected=["vision.norm.weight"]))),
    ],
    "reloaded_outputs_equal_image": [("OutputsDiffer", "in the sign of a zero", same_logits)],
    "processor_reloads": [
        ("ProcessorLost", "another", lambda e: e.reloaded.update(processor_class="OtherProcessor")),
        ("ProcessorLost", "with seven files", lambda e: processor_gone(e, *CODE[:1])),
        ("ProcessorLost", "with no file", lambda e: processor_gone(e, "processor.json", "images.json", *CODE)),
        ("ProcessorLost", "from a directory that was not listed", lambda e: (
            processor_gone(e, "processor.json"), e.stream.pop(0))),
    ],
    "saved_directory_complete": [
        ("FileMissing", "what trained beside the adapter", lambda e: (
            e.intent["save"].update(beside_adapter="non_lora_trainables.bin"))),
        ("FileMissing", "what no base has", lambda e: e.saved["roles"].pop("adapter weights")),
        ("DirectoryNotListed", "for a reason", lambda e: (
            e.reloaded.update(inventory_error="OSError: m"), e.stream.pop(0))),
    ],
    "saved_tensors_as_trained": [
        ("TensorNotSaved", "what a projector's file is for", projector(lambda e: e.saved["tensors"].pop(VISION))),
        ("TensorUnasked", "a buffer of another model", whole(
            lambda e: e.saved["tensors"].update({"stray": {**tensor(e, FC)}}),
            lambda e: e.events.append({**e.one("buffers"), "model": "n", "path": ["stray"]}))),
    ],
    "ties_kept": [
        ("TiedWrongly", "in two places, sorted by name", lambda e: e.intent.update(
            ties=[["z.weight", "y.weight"], ["b.weight", "a.weight"]])),
    ],
    "vocabulary_covers_ids": [
        ("IdBeyondVocabulary", "the vocabulary cannot be read", lambda e: (
            e.reloaded.pop("vocabulary"), e.reloaded.update(vocabulary_error="E: m", tokenizer_error="F: n"))),
        ("IdBeyondVocabulary", "no tokenizer loads", lambda e: (
            e.reloaded.pop("vocabulary"), e.reloaded.update(tokenizer_error="F: n"))),
    ],
    "embeddings_resized": [
        ("EmbeddingsNotGrown", "one wide row", grown(lambda e: e.put("parameters", "shape", CONNECTOR, [1, 4]),
            lambda e: e.reloaded["vocabulary"].update(rows=1))),
        ("EmbeddingsNotGrown", "nothing came back", grown(lambda e: e.reloaded.pop("vocabulary"))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "base_weights_arrived": [
        ("a table that has grown", grown(lambda e: e.put("parameters", "fingerprint", CONNECTOR, "other"))),
    ],
    "adapters_where_intended": [("on the module that is a component", beside_a_base_layer)],
    "adapter_ranks_allocated": [("a single one in use", adalora([0.0, 1.0], [0.0, 0.0]))],
    "adapter_numbers_as_asked": [
        ("a pattern that begins where the base model does", lambda e: (
            adapter(e, rank_pattern={r"^language.layers.1.q_proj": 8}),
            e.one("model")["adapters"][Q1].update(r={"default": 8}, scaling={"default": 1.0}))),
    ],
    "layers_compute_as_asked": [
        ("a copy kept in fp32 beside weights in bf16", lambda e: (
            e.intent.update(weights="bfloat16"), gives(e, 2, "float32"))),
    ],
    "samples_whole": [
        ("a run that ended early", lambda e: (e.drop("closing"), e.events.remove(e.one("forward", LAST)))),
        ("a sample too few, which is another check's word", lambda e: e.one("forward", LAST)["lengths"].pop()),
    ],
    "pictures_in_order": [
        ("a run that ended early", lambda e: (e.drop("closing"), e.events.remove(e.one("forward", LAST)))),
    ],
    "saved_directory_loads": [
        ("what was not trained of a partial save", trained(
            lambda e: e.reloaded.update(missing=["vision.norm.weight"]))),
        ("what was not trained, beside a projector's file", projector(
            lambda e: e.reloaded.update(missing=["vision.layers.0.q_proj.weight"]))),
        ("what the family keeps fixed, of a partial save", trained(
            lambda e: e.intent.update(trains=["vision"], fixed=["vision\\.norm"]),
            lambda e: e.reloaded.update(missing=["vision.norm.weight"]))),
        ("nothing is said of an adapter", lambda e: e.reloaded.pop("adapter_warnings")),
    ],
    "reloaded_parameters_equal": [
        ("the original of a copy, listed last", lambda e: (
            e.reloaded["fingerprints"].pop(f"{BASE}{ORIGINAL}"),
            e.reloaded["fingerprints"].update({f"{BASE}{ORIGINAL}": "?"}))),
    ],
    "saved_directory_complete": [
        ("no tokenizer is promised", lambda e: (
            e.intent["save"].update(tokenizer=False),
            [e.saved["roles"].pop(role) for role in ("tokenizer", "chat template")])),
    ],
    "nothing_pickled": [
        ("a projector's file", projector(lambda e: e.saved["files"].update({PROJECTOR: {"pickled": True}}))),
    ],
    "adapter_file_holds_adapter_only": [
        ("an adapter of another name", filed(labelled)),
        ("two adapters", filed(lambda e: e.one("model")["adapters"][Q0]["r"].update(other=4))),
        ("no layer that knows its adapter", filed(lambda e: e.one("model").update(adapters={}))),
        ("a factor that two layers share", filed(shared_with_a_later_layer)),
        ("a name without what it ends in", filed(lambda e: key_in_file(
            e, f"{Q0}.lora_A.weight", f"{Q0}.lora_A"))),
    ],
    "saved_tensors_as_trained": [
        ("a projector's file of what trains and what it is for", projector()),
        ("a frozen table that has grown", whole(
            lambda e: e.intent.update(resized=["vision\\.norm"]),
            lambda e: e.put("final", "fingerprint", VISION, "grown"),
            lambda e: tensor(e, VISION).update(fingerprint="grown"))),
        ("the second name of a shared tensor", whole(tied, lambda e: e.saved["tensors"].pop(FC))),
    ],
    "ties_kept": [
        ("an original, its copy apart", original_tied),
        ("a directory that was not listed", lambda e: e.stream.pop(0)),
        ("a module and its copy, of one name", lambda e: e.one("parameters").update(
            ties={f"{BASE}connector.weight": [f"{BASE}{CONNECTOR}"]})),
        ("what an adapter shares among its layers", lambda e: e.one("parameters").update(
            ties={f"{Q0}.lora_A.default.weight": [f"{Q1}.lora_A.default.weight"]})),
    ],
    "embeddings_resized": [
        ("longer rows than there are", grown(lambda e: e.put("parameters", "shape", CONNECTOR, [2, 4]))),
        ("a vector of its own length", grown(
            lambda e: e.intent["resized"].append("vision\\.norm"),
            lambda e: e.put("parameters", "shape", VISION, [1]))),
    ],
}  # fmt: skip
