"""Nested values: tensors in dicts and lists, taken apart for files and put together again."""

import json

import torch

from harness.trace.fingerprint import as_hex, fingerprint
from harness.trace.nested import digest_of, mapped, put_together, taken_apart, tensors_in

ONE, TWO = torch.arange(3), torch.ones(2, 2)
VALUE = {"data": {"ids": ONE, "pixels": [[TWO, TWO + 1], []]}, "use_cache": False, "none": None}


def test_what_was_taken_apart_is_put_together_through_json() -> None:
    tensors: dict[str, torch.Tensor] = {}
    plain = json.loads(json.dumps(taken_apart(VALUE, "x", tensors)))
    back = put_together(plain, tensors)

    assert sorted(tensors) == ["x/data/ids", "x/data/pixels/0/0", "x/data/pixels/0/1"]
    assert back["use_cache"] is False
    assert back["none"] is None
    assert back["data"]["pixels"][1] == []
    assert [a is b for a, b in zip(tensors_in(back), tensors_in(VALUE), strict=True)] == [True] * 3


def test_every_tensor_is_changed_and_the_value_itself_is_not() -> None:
    changed = mapped(VALUE, lambda tensor: tensor + 1)

    assert [int(t.sum()) for t in tensors_in(changed)] == [6, 8, 12]
    assert [int(t.sum()) for t in tensors_in(VALUE)] == [3, 4, 8]
    assert changed["use_cache"] is False


def test_the_digest_of_a_lone_tensor_is_its_fingerprint() -> None:
    assert digest_of(ONE) == as_hex(fingerprint(ONE))


def test_the_digest_knows_order_shape_and_every_element() -> None:
    nudged = TWO.clone()
    nudged[0, 0] = 1.0000001
    values = [[ONE, TWO], [TWO, ONE], [ONE, TWO.reshape(4)], [ONE, nudged], [ONE]]

    assert len({digest_of(value) for value in values}) == len(values)
    assert digest_of([ONE, TWO]) == digest_of([[ONE], [TWO.clone()]])
