"""A history of translations, so that discriminators do not forget what generators once made."""

import torch
from torch import Tensor


class ImagePool:
    """Up to ``size`` earlier translations of one domain, some of which are shown again.

    Section 2.3 of Shrivastava et al., "Learning from Simulated and Unsupervised Images through
    Adversarial Training", CVPR 2017, in the form of Zhu et al., 2017, section 4.

    Args:
        size: Images that it holds; 0 for no pool.

    Attributes:
        images: The images held, each ``(C, H, W)``.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor, chances: Tensor) -> Tensor:
        """Return each image or, half of the time, an earlier one in whose place it is stored.

        Until the pool is full every image is stored and returned. Images of another shape, those of
        a run that goes on at another size, are forgotten.

        Args:
            images: New translations, ``(N, C, H, W)``, without a graph.
            chances: Random numbers that are uniform in [0, 1), ``(N,)``: below one half ``u``
                swaps the image with the stored one at ``floor(2 * u * size)``.

        Returns:
            Images of the shape and type of ``images``.
        """
        if not self.size:
            return images
        if self.images and self.images[0].shape != images.shape[1:]:
            self.images = []
        pairs = zip(images, chances.tolist(), strict=True)
        return torch.stack([self._exchange_one(image, chance) for image, chance in pairs])

    def _exchange_one(self, image: Tensor, chance: float) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())  # a view would keep its whole batch in memory
            return image
        if chance >= 0.5:
            return image
        place = int(2 * chance * self.size)
        earlier, self.images[place] = self.images[place], image.clone()
        return earlier.to(image)  # a checkpoint's lie on the CPU
