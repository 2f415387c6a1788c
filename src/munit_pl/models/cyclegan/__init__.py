"""CycleGAN: unpaired translation by cycle consistency alone (Zhu et al., ICCV 2017)."""
