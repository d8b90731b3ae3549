"""The factor between the latents of the HunyuanVideo VAE, as they are cached, and those that the transformer sees."""

LATENT_SCALE = 0.476986
