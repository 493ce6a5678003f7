"""Parameters counted by hand, independently of Keras."""

#: Blocks of VGG16: channels and convolutions (Simonyan and Zisserman 2015, arXiv:1409.1556, Table 1, column D).
VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def conv(size, into, out, bias=True):
    return size * size * into * out + (out if bias else 0)


def double(into, out):
    """Two 3x3 convolutions without bias, each with the four numbers a channel of batch normalisation."""
    return conv(3, into, out, bias=False) + conv(3, out, out, bias=False) + 2 * 4 * out


def vgg16(depth=5):
    total, into = 0, 3
    for out, layers in VGG16[:depth]:
        total += conv(3, into, out) + (layers - 1) * conv(3, out, out)
        into = out
    return total


def mobilenet(alpha=1.0):
    """Howard et al. 2017, arXiv:1704.04861, Table 1: the channels of the 1x1 convolutions."""
    channels = [int(alpha * c) for c in (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)]
    total = conv(3, 3, channels[0], bias=False) + 4 * channels[0]
    for into, out in zip(channels, channels[1:], strict=False):
        total += 9 * into + 4 * into + into * out + 4 * out
    return total


def resnet(blocks):
    """He et al. 2016, arXiv:1512.03385, Table 1, with biases; each convolution has a batch normalisation."""
    total, into = conv(7, 3, 64) + 4 * 64, 64
    for width, count in zip((64, 128, 256, 512), blocks, strict=True):
        for number in range(count):
            out = 4 * width
            sizes = [(1, into, width), (3, width, width), (1, width, out)] + [(1, into, out)] * (number == 0)
            total += sum(conv(*size) + 4 * size[2] for size in sizes)
            into = out
    return total


def dense_convolutions(into, width):
    return conv(7, into, width) + conv(1, width, width)


def fcn32(into, width, classes=2):
    """What comes after the encoder: fc6, fc7 and the scores; up-sampling has no weights."""
    return dense_convolutions(into, width) + conv(1, width, classes)
