"""The measured arithmetic rate of a GPU."""

import time


def matrix_tflops(size: int = 8192) -> float:
    """Return the TFLOP/s of the GPU in bfloat16 on large square matrices, best of ten."""
    import torch

    left, right = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        torch.cuda.synchronize()
        began = time.perf_counter()
        left @ right
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return round(2 * size**3 / best / 1e12, 1)
