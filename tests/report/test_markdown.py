from harness.report import RunReport, to_markdown
from harness.report.markdown import MOST_BYTES
from harness.result import Finding, Reason, Result, Status


class ProcessorLost(Finding):
    pass


LOST = ProcessorLost("MiniCPMVProcessor", "MiniCPMVTokenizerFast", "a|b.json", do="save ```it```")
RESULTS = (
    Result("m/vision[bf16]", "processor_reloads", Status.FAILED, findings=(LOST,)),
    Result("m/vision[bf16]", "loads", Status.PASSED),
    Result("m/vision[bf16]", "buffers", Status.NOT_APPLICABLE, Reason.NO_IMAGES),
    Result("m/lora", "merged", Status.BLOCKED, "the probe <merged> is *missing*"),
    Result("m/lora", "resumes", Status.KNOWN_FAILURE, "see https://example.org/a_b"),
    Result("m/lora", "padding", Status.WARNED, findings=(Finding("0", "1e-3"),)),
)
BEFORE = (
    Result("m/vision[bf16]", "processor_reloads", Status.PASSED),
    Result("m/vision[bf16]", "loads", Status.PASSED),
    Result("m/vision[bf16]", "buffers", Status.PASSED),
    Result("m/lora", "merged", Status.BLOCKED, "as ever"),
    Result("m/older", "loads", Status.PASSED),
)
FULL = RunReport(
    results=RESULTS,
    title="Nightly_run",
    seconds={"m/vision[bf16]": 0.25, "m/lora": 61},
    environment={"torch": "2.11.0", "threads": 2, "back|ends": {"image": "pil", "attention": None}},
    again={("m/vision[bf16]", "processor_reloads"): "harness run s.yaml -k processor_reloads"},
    baseline=BEFORE,
    missing=("m/older: loads", "m/gone: loads"),
)


def test_the_whole_report() -> None:
    assert to_markdown(FULL) == (
        """\
# Nightly_run

**1 of 5 checks failed and 1 was blocked in 2 of 2 recipes, and 3 checks of the baseline are missing.**

## Compared with the baseline

This run is worse than the baseline: 1 check newly failing and 3 checks vanished.

| recipe | before | after |
| --- | --: | --: |
| all | 4/5 | 1/5 |
| `m/lora` | 0/1 | 0/3 |
| `m/older` | 1/1 | – |
| `m/vision[bf16]` | 3/3 | 1/2 |

### Newly failing

- `m/vision[bf16]: processor_reloads`

### Vanished: judged in the baseline, not in this run

- `m/gone: loads`
- `m/older: loads`
- `m/vision[bf16]: buffers`

## Failures

### FAILED `processor_reloads` of `m/vision[bf16]`

````text
expected  MiniCPMVProcessor
seen      MiniCPMVTokenizerFast
where     a|b.json
do        save ```it```
again     harness run s.yaml -k processor_reloads
````

### BLOCKED `merged` of `m/lora`

```text
reason    the probe <merged> is *missing*
```

## Warnings

### WARNED `padding` of `m/lora`

```text
expected  0
seen      1e-3
```

## Recipes

| recipe | passed | failed | blocked | warned | known failure | not applicable | time |
| --- | --: | --: | --: | --: | --: | --: | --: |
| `m/lora` | 0 | 0 | 1 | 1 | 1 | 0 | 1 min 1 s |
| `m/vision[bf16]` | 1 | 1 | 0 | 0 | 0 | 1 | 0.2 s |
| all | 1 | 1 | 1 | 1 | 1 | 1 | 1 min 1 s |

## Neither passed nor failed

| status | reason | checks |
| --- | --- | --- |
| known failure | see https://example.org/a_b | 1 |
| not applicable | no sample of the recipe holds an image | 1 |

## Environment

| fact | value |
| --- | --- |
| torch | `2.11.0` |
| threads | `2` |
| back\\|ends | `{"attention": null, "image": "pil"}` |
"""
    )


def test_a_run_that_passed_is_short() -> None:
    assert to_markdown(RunReport((Result("r", "c", Status.PASSED),))) == (
        """\
# Fine-tuning regression report

**1 check of 1 recipe passed.**

## Recipes

| recipe | passed | time |
| --- | --: | --: |
| `r` | 1 |  |
| all | 1 |  |
"""
    )


def test_no_results_say_so() -> None:
    assert to_markdown(RunReport(())) == "# Fine-tuning regression report\n\n**No check was run.**\n"


def test_names_and_reasons_cannot_break_the_layout() -> None:
    hostile = Result("a`b|c", "x\ny", Status.KNOWN_FAILURE, "<b>|[link](u)\n_under_ `tick`")

    text = to_markdown(RunReport((hostile,), environment={"": ""}))

    assert "| `` a`b\\|c `` | 1 |  |" in text
    assert "| known failure | \\<b\\>\\|\\[link\\](u) \\_under\\_ \\`tick\\` | 1 |" in text


def test_reasons_read_back_count_together_with_fresh_ones() -> None:
    reasons = (Reason.NO_IMAGES, Reason.NO_IMAGES.value)
    results = tuple(Result("r", f"c{n}", Status.NOT_APPLICABLE, reason) for n, reason in enumerate(reasons))

    assert "| not applicable | no sample of the recipe holds an image | 2 |" in to_markdown(RunReport(results))


def test_missing_checks_are_named_even_without_the_results_of_the_baseline() -> None:
    text = to_markdown(RunReport((Result("r", "c", Status.PASSED),), missing=("r: gone",)))

    assert "**1 check of 1 recipe passed, but 1 check of the baseline is missing.**" in text
    assert "baseline: 1 check vanished.\n\nThe baseline holds no statuses of these recipes; write it again" in text
    assert "\n\n### Vanished: judged in the baseline, not in this run\n\n- `r: gone`\n" in text
    assert "- `r: gone`" in text


def test_recipes_that_are_as_before_are_counted() -> None:
    before = tuple(Result(f"m/{number}", "c", Status.PASSED) for number in range(40))
    after = (Result("m/0", "c", Status.FAILED, "why"), *before[1:])

    text = to_markdown(RunReport(after, baseline=before))

    assert "| all | 40/40 | 39/40 |\n| `m/0` | 1/1 | 0/1 |\n\n39 other recipes are as before.\n" in text
    assert "| recipe | passed | failed | time |\n| --- | --: | --: | --: |\n| all | 39 | 1 |  |\n" in text
    assert "<details><summary>40 recipes</summary>" in text


def test_a_gate_in_which_everything_fails_still_fits_a_job_summary() -> None:
    lost = Finding("kept", "x" * 500, where="y" * 500)
    results = tuple(
        Result(f"suite/recipe-{recipe}", f"check_{check}", Status.FAILED, "1 finding", (lost,))
        for recipe in range(600)
        for check in range(20)
    )
    baseline = tuple(Result(one.recipe, one.check, Status.PASSED) for one in results)
    text = to_markdown(RunReport(results, baseline=baseline))

    assert len(text.encode()) < MOST_BYTES
    assert "**12,000 of 12,000 checks failed in 600 of 600 recipes.**" in text
    assert "<details><summary>12000 of them</summary>" in text
    assert "- and 11500 more" in text
    assert text.count("```") % 2 == text.count("<details>") - text.count("</details>") == 0


def test_what_does_not_fit_is_left_out_at_the_end_of_a_section() -> None:
    environment = {f"fact {number}": "x" * 1000 for number in range(2000)}

    text = to_markdown(RunReport(RESULTS, environment=environment))

    assert text.endswith("\n\n## Environment\n\nThe rest is left out: this page would be too large. It is in"
                         " report.html and results.jsonl.\n")  # fmt: skip
    assert len(text.encode()) < MOST_BYTES
