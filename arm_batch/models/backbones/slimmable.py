"""The slimmable supernet: one set of weights, many widths.

A universally slimmable convolution (USConv; Yu & Huang, "Universally Slimmable Networks and Improved Training
Techniques", ICCV 2019) runs a narrower layer on the first channels of the shared weight. In a family of
networks that differ in width alone, that rule needs no layer of its own: the parameter of the narrow
network is the leading corner of the wide network's parameter of the same name, whatever the layer
(convolution, grouped or transposed convolution, PReLU). So a supernet here is the widest network, and a
subnet is the narrow network over views (for training) or contiguous copies (for inference) of
those corners.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from arm_batch.models.backbones.flops import Flops, count_flops
from arm_batch.models.backbones.registry import Backbone


def leading_corner(shared: Tensor, shape: torch.Size) -> Tensor:
    """The view of `shared` that holds its first ``shape[i]`` entries along each axis ``i``."""
    return shared[tuple(slice(size) for size in shape)]


class Supernet(nn.Module):
    """All subnets of one backbone at one scale.

    Attributes:
        net: the widest network; its parameters are the shared weights, and its state dict has the names
            of the published checkpoints.
    """

    def __init__(self, backbone: Backbone, scale: int) -> None:
        super().__init__()
        backbone.check(backbone.full_width, scale)
        self.backbone = backbone
        self.scale = scale
        self.net = backbone.build(backbone.full_width, scale)
        backbone.start(self.net)
        self._skeletons: dict[int, nn.Module] = {}

    def forward(self, x: Tensor, width: int) -> Tensor:
        """Run the subnet of `width` over views of the shared weights, so that gradients reach them.

        Args:
            x: RGB in [0, 1], ``(n, 3, h, w)``.
            width: channels of the subnet.

        Returns:
            ``(n, 3, scale * h, scale * w)``, not clamped.
        """
        skeleton = self._skeleton(width)
        shared = dict(self.net.named_parameters())
        views = {name: leading_corner(shared[name], like.shape) for name, like in skeleton.named_parameters()}
        out: Tensor = functional_call(skeleton, views, (x,))
        return out

    def subnet(self, width: int) -> nn.Module:
        """The subnet of `width` as a plain module of its own, with contiguous weights, in eval mode."""
        self.backbone.check(width, self.scale)
        module = self.backbone.build(width, self.scale)
        shared = self.net.state_dict()
        module.load_state_dict(
            {
                name: leading_corner(shared[name], like.shape).contiguous()
                for name, like in module.state_dict().items()
            }
        )
        return module.eval().requires_grad_(False)

    def flops(self, width: int, height_px: int, width_px: int) -> Flops:
        """FLOPs of the subnet of `width` over one LR input of ``height_px`` x ``width_px``."""
        # Not by the skeleton: a PReLU on the meta device loads torch's compiler, seconds in every process.
        return count_flops(self.subnet(width), height_px, width_px)

    def _skeleton(self, width: int) -> nn.Module:
        """The narrow network without storage: only its structure and shapes are used."""
        if width not in self._skeletons:
            self.backbone.check(width, self.scale)
            with torch.device("meta"):
                self._skeletons[width] = self.backbone.build(width, self.scale)
        return self._skeletons[width]
