"""From-scratch implementations for "Large Language Models: Architecture and Applications"."""
