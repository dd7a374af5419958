"""Distillation: small, fast students that start from a teacher's weights and learn its outputs."""
