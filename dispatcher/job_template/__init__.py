"""Base job templates: what a pool lets its runs change, and the job configuration that comes of it. Pure."""
