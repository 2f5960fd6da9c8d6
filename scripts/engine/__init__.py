"""A Docker engine for tests, and images that are made here instead of pulled."""
