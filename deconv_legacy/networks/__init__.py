"""Networks of papers, built from layers: FCN, U-Net, DCGAN, convolutional autoencoders."""

from deconv_legacy.networks.autoencoder import GaussianSampleLayer, conv_autoencoder, conv_vae, kl_divergence
from deconv_legacy.networks.dcgan import dcgan_discriminator, dcgan_generator
from deconv_legacy.networks.fcn import fcn8s, fcn16s, fcn32s, fcn_alexnet
from deconv_legacy.networks.unet import unet

__all__ = [
    "GaussianSampleLayer",
    "conv_autoencoder",
    "conv_vae",
    "dcgan_discriminator",
    "dcgan_generator",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fcn_alexnet",
    "kl_divergence",
    "unet",
]
