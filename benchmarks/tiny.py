"""The smallest networks that do all that large ones do, as settings of ``munit-train``."""

NETWORKS = [
    "model.generator.dim=4",
    "model.generator.mlp_dim=8",
    "model.generator.num_res_blocks=1",
    "model.discriminator.dim=4",
    "model.discriminator.num_layers=2",
    "model.discriminator.num_scales=2",
]
