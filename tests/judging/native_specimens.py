"""Specimens of native saves: state dicts that are rounded, and files to go on from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]


def resumes(**found: Any) -> Alteration:
    """Of a run that leaves a file to go on from."""

    def alter(e: Evidence) -> None:
        e.intent["save"].update(what="native", resume=True)
        whole = {"file": "sft_64_resume.pth", "weights": {"float32": 7}, "moments": {"float32": 4}}
        e.reloaded["resume"] = {**whole, **found}

    return alter


def unread(error: str | None) -> Alteration:
    def alter(e: Evidence) -> None:
        resumes()(e)
        e.reloaded["resume"] = None
        if error:
            e.reloaded["resume_error"] = error

    return alter


SETTINGS: dict[str, Alteration] = {"resume_file_in_full": resumes()}
SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "resume_file_in_full": [
        ("ResumeRounded", "all in fp16", resumes(weights={"float16": 7})),
        ("ResumeRounded", "one in bf16", resumes(weights={"float32": 6, "bfloat16": 1})),
        ("ResumeRounded", "beside moments of two kinds", resumes(
            weights={"float16": 7}, moments={"float32": 3, "float16": 1})),
        ("ResumeFileMissing", "none", unread(None)),
        ("ResumeFileMissing", "one that holds an object", unread("UnpicklingError: Weights only load failed")),
    ],
}  # fmt: skip
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "resume_file_in_full": [
        ("moments in 16 bits too", resumes(weights={"float16": 7}, moments={"float16": 4})),
        ("no moments at all", resumes(weights={"float16": 7}, moments={})),
        (
            "weights that trained in 16 bits",
            lambda e: (resumes(weights={"bfloat16": 7})(e), e.intent.update(weights="bfloat16")),
        ),
    ],
}
