"""BicycleGAN: multimodal translation learnt from paired images (Zhu et al., NIPS 2017)."""
