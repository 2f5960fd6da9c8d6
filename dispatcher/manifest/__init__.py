"""Manifests: pools, limits and deployments kept in files, planned and applied."""
