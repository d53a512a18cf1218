"""The records of a trace. Standard library only; Python 3.9 and later.

Every record is one JSON object with a `kind`. Records of training also carry `step` (optimizer step, from 0)
and `micro` (micro-batch within it). Floats that are not finite are written as the strings "nan", "inf", "-inf".
"""

from __future__ import annotations

FORMAT_VERSION = 1

# One record each, in this order, when a model meets its optimizer.
MODEL = "model"  # model, class, modules (columns path, type, training), adapters
PARAMETERS = (
    "parameters"  # model, columns over all parameters: path, shape, dtype, role, requires_grad, tied, fingerprint
)
BUFFERS = "buffers"  # model, columns over all buffers: path, shape, dtype, persistent, fingerprint
OPTIMIZER = "optimizer"  # optimizer, class, groups: parameters by index, lr, weight_decay

# Events, in the order they happened.
FORWARD = "forward"  # training, loss, labels, samples, dtypes (first one only)
BACKWARD = "backward"  # value, stale, gradients, recomputed (first one only)
UNSCALE = "unscale"  # gradients
CLIP = "clip"  # max_norm, total
OPTIMIZER_STEP = "optimizer_step"  # skipped, lr, gradients, and columns of values
SCALER = "scaler"  # device, asked, enabled, init_scale
SCALER_UPDATE = "scaler_update"  # before, after
ZERO_GRAD = "zero_grad"  # by
SCHEDULER_STEP = "scheduler_step"  # initial, lr
SAVE = "save"  # class, directory
LOAD = "load"  # class, directory

# After the last step.
FINAL = "final"  # fingerprints of parameters and buffers
PROBE = "probe"  # name and what it saw; arrays beside the stream
STAGE = "stage"  # the run entered a stage: build, tune, train, save, probe
FAILURE = "failure"  # stage, error, message
CLOSING = "closing"  # stage, steps

# The reload stream.
INVENTORY = "inventory"  # files, tensors with their fingerprints
RELOADED = "reloaded"  # classes, missing, unexpected, fingerprints by path, error

ROLES = ("base", "adapter", "copy", "original")
"""base: of the model itself. adapter: added by an adapter. copy: the trained copy that an adapter keeps of a whole
module (peft's modules_to_save). original: what that copy was made from."""
