"""The compute engine."""
