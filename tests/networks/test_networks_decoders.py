"""U-Net, DCGAN and the autoencoders: their sizes, what they compute where that is known, and that they learn."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from deconv_legacy import engine, training
from deconv_legacy.engine import aesara
from deconv_legacy.errors import SizeError
from deconv_legacy.layers import BatchNormLayer, InputLayer, Network
from deconv_legacy.networks import (
    conv_autoencoder,
    conv_vae,
    dcgan_discriminator,
    dcgan_generator,
    kl_divergence,
    unet,
)

at = aesara.tensor


def draw(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def losses(network, loss, inputs, steps, *data, rate=0.01):
    """The loss before each of some steps of Adam on the same data."""
    updates = [*training.adam(loss, network.param_list(trainable=True), rate), *network.updates]
    step = engine.compile(inputs, loss, updates=updates, backend="numpy")
    return [float(step(*data)) for _ in range(steps)]


@pytest.mark.parametrize("up", ["deconv", "bilinear"])
@pytest.mark.parametrize("size", [(8, 12), (11, 13)])
def test_unet_has_the_size_of_its_input_whatever_it_is(up, size):
    net = unet(3, (2, 3, 4), in_channels=2, up=up, rng=0)
    assert net.function(backend="numpy")(draw(2, 2, *size)).shape == (2, 3, *size)


def test_unet_of_the_paper():
    """572 becomes 388, and the skips are cropped by 4, 16, 40 and 88, as drawn there."""
    net = unet(2, (2, 3, 4, 5, 6), InputLayer((1, 1, 572, 572)), padding="valid", rng=0)
    assert net["score"].output_shape == (1, 2, 388, 388)
    assert net["bottom_relu2"].output_shape[2:] == (28, 28)
    assert [net[f"up{i}_crop"].offset for i in (1, 2, 3, 4)] == [(88, 88), (40, 40), (16, 16), (4, 4)]


def test_unet_learns_all_but_its_frozen_interpolation():
    for up, frozen in (("deconv", False), ("bilinear", True)):
        net = unet(2, (6, 8), up=up, rng=1)
        x = draw(2, 1, 6, 10)
        labels = (x[:, 0] > 0.3).astype("int32")
        targets = at.itensor3("labels")
        before = net.weights()
        path = losses(
            net, engine.softmax_loss(net["score"].output, targets), [net["data"].output, targets], 60, x, labels
        )
        assert path[-1] < path[0] / 2
        same = [name for name, values in net.weights().items() if np.array_equal(values[0], before[name][0])]
        assert same == (["up1_up"] if frozen else [])


def test_unet_refuses_what_it_does_not_know():
    for options in ({"padding": "half"}, {"up": "nearest"}):
        with pytest.raises(ValueError, match="legal are"):
            unet(2, (2, 3), **options)


def test_dcgan_has_the_papers_sizes():
    generator = dcgan_generator()
    sizes = [generator[name].output_shape for name in ("project", "deconv1", "deconv2", "deconv3", "image")]
    assert sizes == [(None, c, n, n) for c, n in ((1024, 4), (512, 8), (256, 16), (128, 32), (3, 64))]
    discriminator = dcgan_discriminator()
    sizes = [discriminator[f"d_conv{i}"].output_shape for i in (1, 2, 3, 4)]
    assert sizes == [(None, c, n, n) for c, n in ((64, 32), (128, 16), (256, 8), (512, 4))]
    # no batch normalisation of the discriminator's input layer, nor of the generator's output
    assert isinstance(generator["bn4"], BatchNormLayer) and "bn5" not in generator.layers
    assert "d_bn1" not in discriminator.layers
    with pytest.raises(ValueError, match="halved 4 times"):
        dcgan_discriminator(size=40)


def test_the_projection_is_a_dense_layer():
    net = dcgan_generator((3, 2), code=4, start=5, rng=0)
    codes = draw(2, 4, 1, 1)
    W = net["project"].W.get_value()
    expected = np.einsum("ni,ioyx->noyx", codes[:, :, 0, 0], W)
    np.testing.assert_allclose(net.function("project", backend="numpy")(codes), expected, rtol=1e-5, atol=1e-7)


def test_the_two_discriminators_of_the_gan_game_are_one():
    generator = dcgan_generator((6, 4, 1), 5, 2, 4, train=True, rng=0)
    real = InputLayer((None, 1, 8, 8), name="real")
    one = dcgan_discriminator((4, 6), size=8, kernel=4, input=real, train=True, rng=1)
    other = dcgan_discriminator((4, 6), size=8, kernel=4, input=generator["image"], train=True, twin=one, rng=2)
    assert set(other.param_list()) == set(one.param_list()) | set(generator.param_list())
    codes = draw(3, 5, 1, 1)
    image, score = other.function(["image", "score"], backend="numpy")(codes)
    np.testing.assert_allclose(one.function(backend="numpy")(image), score, rtol=1e-4, atol=1e-6)
    # the score of what was made reaches every parameter of the generator
    grads = aesara.grad(other["score"].output.sum(), generator.param_list(trainable=True))
    values = engine.compile([generator["code"].output], grads, backend="numpy")(codes)
    assert all(np.abs(value).max() > 0 for value in values)
    assert len(generator.updates) == 4 and len(one.updates) == 2


def test_the_mirror_comes_back_to_every_size():
    net = conv_autoencoder((2, 3), 4, in_channels=3, rng=0)
    function = net.function(backend="numpy")
    for size in ((7, 9), (8, 6), (1, 5)):
        assert function(draw(2, 3, *size)).shape == (2, 3, *size)
    known = conv_autoencoder(input=InputLayer((None, 3, 112, 112)), rng=0)
    names = ("conv1", "conv2", "conv3", "conv4", "code", "deconv5", "deconv4", "deconv3", "deconv2", "reconstruction")
    sizes = [known[name].output_shape[1:3] for name in names]
    assert sizes == [
        (32, 56), (64, 28), (128, 14), (256, 7), (256, 4), (256, 7), (128, 14), (64, 28), (32, 56), (3, 112),
    ]  # fmt: skip


def test_the_autoencoder_learns():
    net = conv_autoencoder((6,), 8, in_channels=2, rectified=True, rng=0)
    x = np.abs(draw(4, 2, 5, 7))
    loss = at.square(net["reconstruction"].output - net["data"].output).mean()
    path = losses(net, loss, [net["data"].output], 60, x)
    assert path[-1] < path[0] / 5


def test_kl_divergence_is_the_integral():
    m, v = draw(1, 3).astype("float64"), draw(1, 3, seed=1).astype("float64")
    t = np.linspace(-12, 12, 2001)
    expected = 0
    for mean, variance in zip(m[0], np.exp(v[0]), strict=True):
        p = np.exp(-((t - mean) ** 2) / 2 / variance) / np.sqrt(2 * np.pi * variance)
        q = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
        expected += trapezoid(np.where(p > 1e-300, p * np.log(np.maximum(p, 1e-300) / q), 0), t)
    np.testing.assert_allclose(kl_divergence(m, v).eval(), [expected], rtol=1e-6)


def test_the_vae_learns_and_its_decoder_is_the_same_one():
    whole, decoder = conv_vae((None, 1, 7, 9), (4, 6), 3, rng=0)
    x = (draw(6, 1, 7, 9) > 0).astype("float32")
    data = whole["data"].output
    # the layers' own expressions; the binary cross-entropy with the data
    s = whole["logits"].output
    cross = (at.softplus(s) - data * s).sum(axis=(1, 2, 3))
    loss = (cross + kl_divergence(whole["mean"].output, whole["log_variance"].output)).mean()
    path = losses(whole, loss, [data], 80, x, rate=0.02)
    assert np.mean(path[-5:]) < 0.8 * np.mean(path[:5])
    # trained through the first, the second decodes what the first drew
    drawn, logits = whole.function(["sample", "logits"], backend="numpy")(x)
    np.testing.assert_allclose(decoder.function(backend="numpy")(drawn), logits, rtol=1e-4, atol=1e-5)
    assert [layer.name for layer in decoder.inputs] == ["code"]
    again = whole.function("sample", backend="numpy")
    assert not np.allclose(again(x), again(x))
    # the spread of the samples is what the log-variance says
    samples = np.array([again(x) for _ in range(400)])
    _, log_variance = whole.function(["mean", "log_variance"], backend="numpy")(x)
    np.testing.assert_allclose(samples.std(0), np.exp(log_variance / 2), rtol=0.25)


def test_the_vae_without_training_takes_the_mean():
    whole, _ = conv_vae((None, 2, 5, 6), (3,), 4, train=False, rng=0)
    mean, sample = whole.function(["mean", "sample"], backend="numpy")(draw(2, 2, 5, 6))
    np.testing.assert_array_equal(mean, sample)
    with pytest.raises(SizeError, match="must be known"):
        conv_vae((None, 1, None, 9))


def test_a_seed_is_a_network():
    for build in (
        lambda rng: unet(2, (2, 3), rng=rng),
        lambda rng: dcgan_generator((3, 2), 4, rng=rng),
        lambda rng: conv_autoencoder((2,), 3, rng=rng),
        lambda rng: conv_vae((None, 1, 6, 7), (2,), 3, rng=rng)[0],
    ):
        a, b, c = build(5), build(5), build(6)
        assert isinstance(a, Network)
        pairs = [(x, y, z) for n in a.params for x, y, z in zip(*(net.weights()[n] for net in (a, b, c)), strict=True)]
        assert all(np.array_equal(x, y) for x, y, _ in pairs)
        assert any(not np.array_equal(x, z) for x, _, z in pairs)
        kernels = [v[0] for v in a.weights().values() if v[0].ndim == 4 and v[0].std() > 0]
        assert len({k.ravel()[0] for k in kernels}) == len(kernels)  # one sequence, not the same start anew
