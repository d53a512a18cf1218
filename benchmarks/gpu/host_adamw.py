"""AdamW whose moments are kept in the host's memory, for where the device has no room for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class HostAdamW(torch.optim.Optimizer):
    """The moments of each parameter come over, are used in fp32 and go back; on the host they have the parameter's own
    dtype. A parameter in 16 bits is rounded once a step."""

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = closure() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._stepped(parameter, group)
        return loss

    def _stepped(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            pinned = parameter.device.type == "cuda"
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros(parameter.shape, dtype=parameter.dtype, pin_memory=pinned)
            state["step"] = torch.tensor(0.0)
        state["step"] += 1
        number, (first, second) = float(state["step"]), group["betas"]
        gradient = parameter.grad.float()  # type: ignore[union-attr]
        mean, square = (state[name].to(parameter.device, torch.float32) for name in ("exp_avg", "exp_avg_sq"))
        mean.lerp_(gradient, 1 - first)
        square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        state["exp_avg"].copy_(mean)
        state["exp_avg_sq"].copy_(square)
        denominator = (square / (1 - second**number)).sqrt_().add_(group["eps"])
        value = parameter.float().mul_(1 - group["lr"] * group["weight_decay"])
        value.addcdiv_(mean, denominator, value=-group["lr"] / (1 - first**number))
        parameter.copy_(value)
