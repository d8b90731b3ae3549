"""How the latents of the HunyuanVideo VAE lie to its pixels, and to what the transformer sees."""

SPATIAL_COMPRESSION = 8
TEMPORAL_COMPRESSION = 4  # of all frames but the first

LATENT_SCALE = 0.476986
"""The factor between latents as they are cached and as the transformer sees them."""
