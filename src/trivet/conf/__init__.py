"""Hydra configs that trivet brings to any app: `+trivet=<one of trivet/>`."""
