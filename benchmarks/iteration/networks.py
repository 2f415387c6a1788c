"""MUNIT's networks with stock operations, as functions of weights under the package's names."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from munit_pl.layers.convolution import conv_by_fours
from munit_pl.layers.normalization import adain, layer_norm
from munit_pl.layers.padding import pad
from munit_pl.layers.upsampling import upsample_conv


class Networks:
    """Two generators and two discriminators.

    Args:
        weights: By the names of `munit_pl.models.munit.model.MUNIT`, which also tell the sizes.
        savings: Names from `plain.SAVINGS`; those of single layers count here.
    """

    def __init__(self, weights: Mapping[str, Tensor], savings: frozenset[str]) -> None:
        self.weights, self.savings = weights, savings

    def encode(self, domain: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return content ``(N, C', H', W')`` and style ``(N, Z)`` of images."""
        return self.content(domain, x), self.style(domain, x)

    def content(self, domain: str, x: Tensor) -> Tensor:
        """Return the content code of images."""
        net = f"gen_{domain}.content_encoder"
        for i in self._numbers(f"{net}.layers"):
            x = self._conv(f"{net}.layers.{i}.conv", x, cancelled=True)
            x = F.instance_norm(x).relu_()
        for i in self._numbers(f"{net}.res_blocks"):
            block = f"{net}.res_blocks.{i}"
            h = F.instance_norm(self._conv(f"{block}.conv1.conv", x, cancelled=True)).relu_()
            x = x + F.instance_norm(self._conv(f"{block}.conv2.conv", h, cancelled=True))
        return x

    def style(self, domain: str, x: Tensor) -> Tensor:
        """Return the style code of images."""
        net = f"gen_{domain}.style_encoder"
        for i in self._numbers(f"{net}.layers"):
            x = self._conv(f"{net}.layers.{i}.conv", x).relu_()
        return self._conv(f"{net}.head", F.adaptive_avg_pool2d(x, 1)).flatten(1)

    def decode(self, domain: str, content: Tensor, style: Tensor) -> Tensor:
        """Return images that show a content in a style."""
        net = f"gen_{domain}.decoder"
        affine = self._linear(f"{net}.mlp.0", style).relu_()
        affine = self._linear(f"{net}.mlp.2", affine).relu_()
        affine = self._linear(f"{net}.mlp.4", affine)
        x = content
        for i in self._numbers(f"{net}.res_blocks"):
            block, c = f"{net}.res_blocks.{i}", x.shape[1]
            of_block = affine[:, 4 * c * i : 4 * c * (i + 1)]
            h = self._conv(f"{block}.conv1.conv", x, cancelled=True)
            h = self._adain(h, of_block[:, :c], of_block[:, c : 2 * c]).relu_()
            h = self._conv(f"{block}.conv2.conv", h, cancelled=True)
            x = x + self._adain(h, of_block[:, 2 * c : 3 * c], of_block[:, 3 * c :])
        for i in self._numbers(f"{net}.up_blocks"):
            block = f"{net}.up_blocks.{i}"
            x = self._layer_norm(f"{block}.norm", self._upsampled(f"{block}.conv", x)).relu_()
        return self._conv(f"{net}.to_image.conv", x).tanh()

    def score_batches(self, domain: str, x: Tensor) -> list[Tensor]:
        """Return the logits of images, from the full scale to the smallest."""
        net, logits = f"dis_{domain}.scales", []
        for scale in self._numbers(net):
            *strided, last = self._numbers(f"{net}.{scale}")
            h = x
            for i in strided:
                h = F.leaky_relu_(self._conv(f"{net}.{scale}.{i}.conv", h), 0.2)
            logits.append(self._conv(f"{net}.{scale}.{last}", h))
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)  # after the last, too, in vain
        return logits

    def _numbers(self, prefix: str) -> range:
        depth = prefix.count(".") + 1
        found = {int(k.split(".")[depth]) for k in self.weights if k.startswith(f"{prefix}.")}
        return range(len(found))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _conv(self, name: str, x: Tensor, *, cancelled: bool = False) -> Tensor:
        """Pad and convolve as the kernel's size tells: 4 has a stride of 2, all others 1."""
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        size = weight.shape[-1]
        if padding := (size - 1) // 2:
            x = self._padded(x, padding)
        if "by_fours" in self.savings and name.endswith("to_image.conv"):
            return conv_by_fours(x, weight, bias)
        skipped = cancelled and "no_dead_biases" in self.savings
        return F.conv2d(x, weight, None if skipped else bias, stride=2 if size == 4 else 1)

    def _padded(self, x: Tensor, padding: int) -> Tensor:
        if "own_padding" in self.savings:
            return pad(x, padding, "reflect")
        return F.pad(x, (padding,) * 4, mode="reflect")

    def _upsampled(self, name: str, x: Tensor) -> Tensor:
        if "four_phase" in self.savings:
            weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
            return upsample_conv(x, weight, bias, "reflect")
        return self._conv(name, F.interpolate(x, scale_factor=2, mode="nearest"))

    def _adain(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        if "own_norms" in self.savings:
            return adain(x, shift, scale)
        n, c, h, w = x.shape
        like = self.weights["gen_a.decoder.mlp.0.bias"]
        # The original hands over running statistics, which nothing ever reads.
        mean, var = like.new_zeros(n * c), like.new_ones(n * c)
        shift, scale = (v.reshape(-1).to(like.dtype) for v in (shift, scale))
        folded = x.reshape(1, n * c, h, w)
        return F.batch_norm(folded, mean, var, scale, shift, training=True).view(n, c, h, w)

    def _layer_norm(self, name: str, x: Tensor) -> Tensor:
        gamma, beta = self.weights[f"{name}.gamma"], self.weights[f"{name}.beta"]
        if "own_norms" in self.savings:
            return layer_norm(x, gamma, beta)
        flat = wide(x).reshape(len(x), -1)
        mean, std = flat.mean(1).view(-1, 1, 1, 1), flat.std(1).view(-1, 1, 1, 1)
        y = (wide(x) - mean) / (std + 1e-5)
        return (y * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)).to(x.dtype)


def wide(x: Tensor) -> Tensor:
    """Return ``x`` in fp32 if it is in bf16."""
    return x.float() if x.dtype is torch.bfloat16 else x
