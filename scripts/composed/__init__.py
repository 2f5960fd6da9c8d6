"""The compose stack, brought up, loaded, hurt and counted."""
