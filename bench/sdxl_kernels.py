"""What a card would be asked for, kernel by kernel, without a card: on the meta device, where
tensors have shapes and no numbers. Attention is the kernel that PyTorch takes on CUDA.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

FLASH_WIDTH_MAX = 256  # of a head; wider ones, as in the VAE's middle, are for memory-efficient's
aten = torch.ops.aten
ONE = {aten.upsample_nearest2d.vec}  # taken apart by torch, but one kernel on CUDA


class Kernels(TorchDispatchMode):  # type: ignore[misc]
    """Hands every operation that cannot be taken apart any further to `ran`, with its answer."""

    def __init__(self, ran: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        super().__init__()
        self._ran = ran

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named, answer = kwargs or {}, NotImplemented
        if func not in ONE:
            with self:
                answer = func.decompose(*args, **named)
        if answer is NotImplemented:
            answer = _as_on_a_card(func, args, func(*args, **named))
            self._ran(func, args, named, answer)
        return answer


def _as_on_a_card(func: Any, args: tuple[Any, ...], answer: Any) -> Any:
    """cuDNN answers a convolution in the order of its weight."""
    if func is aten.convolution.default and _channels_last(args[1]):
        return answer.contiguous(memory_format=torch.channels_last)
    return answer


def reordered(func: Any, args: tuple[Any, ...]) -> torch.Tensor | None:
    """The input that is copied into another order first: for a convolution into its weight's, for
    group norm into channels first, which is all that it knows on CUDA."""
    if func is aten.convolution.default:
        return args[0] if _channels_last(args[1]) and not _channels_last(args[0]) else None
    if func is aten.native_group_norm.default:
        return None if args[0].is_contiguous() else args[0]
    return None


def _channels_last(tensor: torch.Tensor) -> bool:
    return bool(tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


class _Fused(TorchFunctionMode):  # type: ignore[misc]
    """Attention without a matrix of scores. Flash takes heads up to 256 wide in half precision;
    memory-efficient takes any width, and keeps a float32 sum beside heads wider than its tile."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is scaled_dot_product_attention:
            return _attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **_: Any,
) -> Any:
    is_half = query.dtype in (torch.float16, torch.bfloat16)
    if attn_mask is None and is_half and query.shape[-1] <= FLASH_WIDTH_MAX:
        return aten._scaled_dot_product_flash_attention(query, key, value, 0.0, is_causal)[0]
    answer = aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, False, 0.0, is_causal
    )[0]
    if is_half:
        torch.empty_like(query, dtype=torch.float32)  # the sum, for as long as the kernel runs
    return answer


@contextmanager
def watched(ran: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None]) -> Iterator[None]:
    """Within: networks on the meta device are asked as they would be on a card."""
    with torch.inference_mode(), _Fused(), Kernels(ran):
        yield
