"""The format of a trace. Standard library only; Python 3.9 and later.

Every record of a stream is one JSON object on a line, with a `kind`. Records of training also carry `step` (optimizer
step, from 0) and `micro` (micro-batch within it). Floats that are not finite are the strings "nan", "inf", "-inf";
columns of floats have nine digits. At a step, `state` is a digest of the first 256 elements of each of an optimizer's
tensors; `closing` has a digest of all of them, and of more than 2**30 one of the first 65,536 of each. Values on an
accelerator say `sampled` where `changed` is told from a part of the elements. Columns of a process that has but a part
of each parameter say `shard`, which parameters it has all of (`whole`) and which of its gradients there are
(`reached`); a reader puts those of all processes together.
The format may gain kinds and fields under the same version; what a reader needs and does not find is damage.

When a model meets its optimizer: `model` (module tree, adapters), `parameters` and `buffers` (columns over all of
them), `optimizer` (its groups, parameters by index). A parameter's role is `base` (of the model itself), `adapter`
(added by an adapter), `copy` (the trained copy that an adapter keeps of a whole module) or `original` (what that copy
was made from). While it trains, in the order it happened: `forward`, `backward`, `gradients`, `unscale`, `clip`,
`optimizer_step`, `scaler`, `scaler_update`, `zero_grad`, `scheduler_step`, `save`. Around it: `stage`, `data`,
`encoded`, `final`, `probe`, `failure`, `closing`. In the streams `base` and `reload`, of the processes that loaded the
directory training started from and the saved one: `inventory`, `reloaded`. A script's trace has besides: `pretrained`
and `load`, `weights_saved` and `saved_directory`, `thawed`, `replaced`, `late`, `workers`, `looks`, `lost_sight`; when
it is over `evaluated`, `outputs_at_end`, `ended`; and in `reload`, `loaded_directory` or `not_reloaded`.
"""

from __future__ import annotations

FORMAT_VERSION = 1
