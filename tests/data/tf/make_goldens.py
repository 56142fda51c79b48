"""Records what TensorFlow 1.15 computes: `tf115.npz`, inputs and results by name.

python3.7 tests/data/tf/make_goldens.py        # pip install tensorflow==1.15 "protobuf<3.21"
"""

import os

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

tf.logging.set_verbosity(tf.logging.ERROR)
RNG = np.random.RandomState(0)
OUT = {}

# direction: sizes in, kernel, stride, padding, dilation
CONVOLUTIONS = [
    ((5, 7), (3, 2), (2, 3), "SAME", 1),
    ((6, 7), (2, 4), (2, 1), "SAME", 1),
    ((9, 8), (3, 2), (2, 3), "VALID", 1),
    ((7, 9), (3, 2), (1, 1), "SAME", 2),
    ((7, 8), (2, 3), (3, 2), [[0, 0], [1, 2], [0, 1], [0, 0]], 1),
    ((7, 8), (1, 2), (3, 4), "VALID", 1),
]


def draw(*shape):
    return RNG.uniform(-1, 1, shape).astype("float32")


def save(name, **values):
    for key, value in values.items():
        OUT[name + "/" + key] = np.asarray(value)


def run(*values):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(list(values))


def convolutions():
    for i, (size, kernel, stride, padding, dilation) in enumerate(CONVOLUTIONS):
        x, w = draw(2, *size, 3), draw(*kernel, 3, 4)
        rule = {"strides": [1, *stride, 1], "padding": padding, "dilations": [1, dilation, dilation, 1]}
        y = tf.nn.conv2d(x, w, **rule)
        if dilation > 1:  # its gradients are for GPUs only
            save(f"conv{i}", x=x, w=w, y=run(y)[0])
            continue
        g = draw(*y.shape.as_list())
        dx = tf.nn.conv2d_backprop_input(x.shape, w, g, **rule)
        dw = tf.nn.conv2d_backprop_filter(x, w.shape, g, **rule)
        values = [y, dx, dw]
        if isinstance(padding, str):
            values.append(tf.nn.conv2d_transpose(g, w, x.shape, rule["strides"], padding))
        results = run(*values)
        if len(results) == 4:
            np.testing.assert_array_equal(results[1], results[3])
        save(f"conv{i}", x=x, w=w, g=g, y=results[0], dx=results[1], dw=results[2])
    value, w = draw(2, 1, 2, 3, 4), draw(2, 3, 5, 3, 4)
    save("conv3d", value=value, w=w, y=run(tf.nn.conv3d_transpose(value, w, [2, 3, 5, 7, 3], [1, 3, 3, 3, 1]))[0])


def pools():
    x = RNG.randint(0, 4, (2, 5, 7, 3)).astype("float32")  # ties
    for padding in ("SAME", "VALID"):
        for name, pool in (("max", tf.nn.max_pool), ("avg", tf.nn.avg_pool)):
            y = pool(x, [1, 3, 2, 1], [1, 2, 2, 1], padding)
            variable = tf.Variable(x)
            y = pool(variable, [1, 3, 2, 1], [1, 2, 2, 1], padding)
            g = draw(*y.shape.as_list())
            value, gradient = run(y, tf.gradients(y, variable, g)[0])
            save(f"{name}_{padding}", x=x, g=g, y=value, dx=gradient)
    y, places = run(*tf.nn.max_pool_with_argmax(x[:1], [1, 3, 2, 1], [1, 2, 2, 1], "VALID"))
    save("argmax", x=x[:1], y=y, places=places)


def resizes():
    x = draw(2, 4, 5, 3)
    save(
        "resize",
        x=x,
        nearest=run(tf.image.resize_nearest_neighbor(x, [7, 11]))[0],
        bilinear=run(tf.image.resize_bilinear(x, [7, 11]))[0],
        align=run(tf.image.resize_bilinear(x, [7, 11], align_corners=True))[0],
        half=run(tf.image.resize_bilinear(x, [7, 11], half_pixel_centers=True))[0],
    )


def activations():
    x = np.array([-100, -3, -1, -0.5, 0, 0.5, 1, 3, 100], "float32")
    for name in ("elu", "selu", "relu", "sigmoid"):
        variable = tf.Variable(x)
        y = getattr(tf.nn, name)(variable)
        value, gradient = run(y, tf.gradients(y, variable)[0])
        save(name, x=x, y=value, dx=gradient)
    z = np.linspace(0, 1, 9).astype("float32")
    variable = tf.Variable(x)
    y = tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=variable)
    value, gradient = run(y, tf.gradients(y, variable)[0])
    save("cross_entropy", x=x, z=z, y=value, dx=gradient)


def losses():
    a, b = RNG.uniform(0, 1, (3, 4)).astype("float32"), draw(3, 4)
    w = np.array([[2], [0], [0.5]], "float32")
    classes = np.array([3, 0, 2])
    save(
        "losses",
        a=a,
        b=b,
        w=w,
        classes=classes,
        mse=run(tf.losses.mean_squared_error(a, b))[0],
        mse_weighted=run(tf.losses.mean_squared_error(a, b, weights=w))[0],
        mae=run(tf.losses.absolute_difference(a, b))[0],
        sigmoid=run(tf.losses.sigmoid_cross_entropy(a, b))[0],
        softmax=run(tf.losses.softmax_cross_entropy(a, b))[0],
        sparse=run(tf.losses.sparse_softmax_cross_entropy(classes, b))[0],
    )


OPTIMIZERS = {
    "sgd": lambda rate: tf.train.GradientDescentOptimizer(rate),
    "momentum": lambda rate: tf.train.MomentumOptimizer(rate, 0.9),
    "nesterov": lambda rate: tf.train.MomentumOptimizer(rate, 0.9, use_nesterov=True),
    "adam": lambda rate: tf.train.AdamOptimizer(rate),
    "rmsprop": lambda rate: tf.train.RMSPropOptimizer(rate, momentum=0.5),
    "centered": lambda rate: tf.train.RMSPropOptimizer(rate, centered=True),
}


def optimizers():
    rates = [0.1, 0.1, 0.02, 0.02, 0.05]
    start, scale = np.array([1, -2, 3], "float32"), np.array([0.5, 3, 0.01], "float32")
    save("optimizers", rates=np.array(rates, "float32"), start=start, scale=scale)
    for name, make in OPTIMIZERS.items():
        rate = tf.placeholder("float32", [])
        v = tf.Variable(start)
        step = make(rate).minimize(tf.reduce_sum(scale * v * v))
        path = []
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for value in rates:
                session.run(step, {rate: value})
                path.append(session.run(v))
        save("optimizers", **{name: np.array(path)})


def batch_norm():
    cases = {
        "contrib4": (lambda x: tf.contrib.layers.batch_norm(x), (3, 2, 4, 3)),
        "contrib2": (lambda x: tf.contrib.layers.batch_norm(x, scale=True), (6, 3)),
        "layers4": (lambda x: tf.layers.batch_normalization(x, training=True), (3, 2, 4, 3)),
        "layers4_unfused": (lambda x: tf.layers.batch_normalization(x, training=True, fused=False), (3, 2, 4, 3)),
        "layers2": (lambda x: tf.layers.batch_normalization(x, training=True), (6, 3)),
    }
    for name, (build, shape) in cases.items():
        tf.reset_default_graph()
        x = draw(*shape) * 3 + 1
        y = build(tf.constant(x))
        averages = [v for v in tf.global_variables() if "moving" in v.name]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            before = session.run([y, *averages])
            session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
            after = session.run(averages)
        assert np.all(before[1] == 0) and np.all(before[2] == 1)  # they change by the update ops alone
        save("bn_" + name, x=x, y=before[0], mean=after[0], variance=after[1])


def default_sizes():
    """Output sizes of the layers for n 1..5, k 1..6, s 1..4; -1 where TensorFlow refuses."""
    ks, ss, ns = range(1, 7), range(1, 5), range(1, 6)
    for padding in ("SAME", "VALID"):
        sizes = np.zeros((6, 4, 5), int)
        for k in ks:
            for s in ss:
                for n in ns:
                    tf.reset_default_graph()
                    x = tf.zeros([1, n, n, 1])
                    sizes[k - 1, s - 1, n - 1] = tf.contrib.layers.conv2d_transpose(x, 1, k, s, padding).shape[1].value
        save("default", **{padding: sizes})
    for padding in ("same", "valid"):
        sizes = np.full((6, 4, 4), -1)
        for k in ks:
            for s in ss:
                for op in range(s):
                    tf.reset_default_graph()
                    layer = tf.keras.layers.Conv2DTranspose(1, k, s, padding, output_padding=op)
                    try:
                        y = layer(np.zeros((1, 3, 3, 1), "float32"))
                        with tf.Session() as session:
                            session.run(tf.global_variables_initializer())
                            sizes[k - 1, s - 1, op] = session.run(y).shape[1]
                    except (ValueError, tf.errors.InvalidArgumentError):
                        pass
        save("keras", **{padding: sizes})


for part in (convolutions, pools, resizes, activations, losses, optimizers, batch_norm, default_sizes):
    part()
np.savez_compressed(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tf115.npz"), **OUT)
