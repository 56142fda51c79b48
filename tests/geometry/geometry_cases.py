"""What the geometry tests share: random arguments, plain-loop references, the FCN paths."""

from hypothesis import strategies as st

from deconv_legacy.geometry import Step

kernels = st.integers(1, 7)
strides = st.integers(1, 6)
dilations = st.integers(1, 4)
explicit_modes = st.one_of(
    st.sampled_from(["valid", "half", "full"]), st.integers(0, 6), st.tuples(st.integers(0, 6), st.integers(0, 6))
)
same_modes = st.sampled_from(["same", "same_lower"])
modes = st.one_of(explicit_modes, same_modes)


def span(kernel, dilation):
    """Cells that a kernel covers, counted by laying down its taps."""
    return [tap * dilation for tap in range(kernel)][-1] + 1


def brute_pads(mode, size, kernel, stride, dilation):
    k = span(kernel, dilation)
    if mode == "valid":
        return 0, 0
    if mode == "half":
        return k // 2, k // 2
    if mode == "full":
        return k - 1, k - 1
    if mode in ("same", "same_lower"):
        # TensorFlow's documentation states it by the remainder, not by the output size.
        rest = size % stride
        total = max(k - (rest if rest else stride), 0)
        small, large = total // 2, total - total // 2
        return (small, large) if mode == "same" else (large, small)
    return (mode, mode) if isinstance(mode, int) else mode


def brute_forward(size, kernel, stride, mode, dilation):
    """The number of windows of a convolution, counted one by one."""
    before, after = brute_pads(mode, size, kernel, stride, dilation)
    return len(range(-before, size + after - span(kernel, dilation) + 1, stride))


def vgg(pad=100, until=None):
    """VGG-16 as FCN has it, up to pool number `until`, or up to the scores."""
    steps = []
    for block, convolutions in enumerate((2, 2, 3, 3, 3), 1):
        for number in range(1, convolutions + 1):
            first = (block, number) == (1, 1)
            steps.append(Step("conv", 3, 1, pad if first else 1, name=f"conv{block}_{number}"))
            steps.append(Step("identity", name=f"relu{block}_{number}"))
        steps.append(Step("pool", 2, 2, name=f"pool{block}", rounding="caffe"))
        if block == until:
            return steps
    return [*steps, Step("conv", 7, name="fc6"), Step("conv", 1, name="fc7"), Step("conv", 1, name="score_fr")]


def alexnet(pad=100):
    pool = Step("pool", 3, 2, rounding="caffe")
    return [
        Step("conv", 11, 4, pad),
        pool,
        Step("conv", 5, 1, 2),
        pool,
        Step("conv", 3, 1, 1),
        Step("conv", 3, 1, 1),
        Step("conv", 3, 1, 1),
        pool,
        Step("conv", 6),
        Step("conv", 1),
        Step("conv", 1),
    ]
