"""UNIT (Liu et al., NIPS 2017): two auto-encoders whose Gaussian code both domains share."""
