"""
The three-phase step of the paper at its own sizes, as users of each library write it. First word: torch,
torch-channels-last or tensorflow. A line in: {update, labelled, unlabelled, steps}; a line out: seconds of each step and
the peak of resident memory.
"""
import json
import os
import resource
import sys
import time

import numpy as np

FILTERS, POOLS = (16, 32, 32), ((2, 2), (2, 4), (2, 2))
TILE, SPEAKERS, ALPHA, BETA, RATE, MOMENTUM, EPSILON = (128, 256), 24, 0.4, 0.5, 1e-3, 0.9, 1e-3
DISCRIMINATOR_RATE, GENERATOR_RATE, REAL_LABEL, ADAM_EPSILON = 0.05, 0.3, 0.9, 1e-7
JOINT_DISCRIMINATOR_RATE, JOINT_WEIGHT = 0.1, 0.1
THREADS = int(os.environ.get("BENCH_THREADS", "2"))


def tiles_of(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *TILE), dtype=np.uint8)


def torch_steps(channels_last: bool):
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(THREADS)
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def encoder():
        layers, before = [], 1
        for i, (filters, pool) in enumerate(zip(FILTERS, POOLS)):
            layers += [nn.Conv2d(before, filters, 5, padding=2, bias=False), nn.BatchNorm2d(filters, eps=EPSILON, momentum=1 - MOMENTUM)]
            layers += ([nn.ReLU()] if i < 2 else []) + [nn.MaxPool2d(pool)]
            before = filters
        return nn.Sequential(*layers)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            outs = (*reversed(FILTERS[:-1]), 1)
            ins = tuple(reversed(FILTERS))
            self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 5, stride=s, bias=k == 2) for k, (i, o, s) in enumerate(zip(ins, outs, reversed(POOLS))))
            self.norm = nn.ModuleList(nn.BatchNorm2d(o, eps=EPSILON, momentum=1 - MOMENTUM) for o in outs[:-1])

        def forward(self, z):
            for i, (up, stride) in enumerate(zip(self.up, reversed(POOLS))):
                rows, frames = z.shape[2] * stride[0], z.shape[3] * stride[1]
                top, left = (5 - stride[0]) // 2, (5 - stride[1]) // 2
                z = up(z)[:, :, top : top + rows, left : left + frames]
                if i < 2:
                    z = F.relu(self.norm[i](z))
            return z

    def head(classes):
        return nn.Sequential(
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, classes)
        )

    def make(update, labelled, unlabelled):
        torch.manual_seed(1)
        count = labelled + unlabelled
        parts = nn.ModuleDict({"encoder": encoder(), "decoder": Decoder(), "discriminator": head(1), "emotion": head(4), "gender": head(2), "speaker": head(256)})
        parts = parts.to(memory_format=layout)
        adam = lambda modules, rate: torch.optim.Adam([p for m in modules for p in parts[m].parameters()], lr=RATE * rate, eps=ADAM_EPSILON)
        heads = ("emotion", "gender", "speaker")
        phases = update == "phases"
        discriminator = adam(["discriminator"], DISCRIMINATOR_RATE if phases else JOINT_DISCRIMINATOR_RATE)
        tiles = torch.from_numpy(tiles_of(count))
        labels = {"emotion": 4, "gender": 2, "speaker": SPEAKERS}
        labels = {task: torch.arange(labelled) % classes for task, classes in labels.items()}

        def classification(z):
            losses = {t: F.cross_entropy(parts[t](z[:labelled])[:, :SPEAKERS] if t == "speaker" else parts[t](z[:labelled]), labels[t]) for t in heads}
            return BETA * losses["emotion"] + (1 - BETA) * (losses["gender"] + losses["speaker"])

        def fooled(z):
            logits = parts["discriminator"](z)
            return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

        def move(optimisers, loss):
            for optimiser in optimisers:
                optimiser.zero_grad(set_to_none=True)
            loss.backward()
            for optimiser in optimisers:
                optimiser.step()

        def judge(z):
            real, fake = parts["discriminator"](torch.randn_like(z)), parts["discriminator"](z.detach())
            loss = F.binary_cross_entropy_with_logits(real, torch.full_like(real, REAL_LABEL)) + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
            move([discriminator], 0.5 * loss)
            return loss

        if phases:
            reconstruction = [adam(["encoder"], ALPHA), adam(["decoder"], 1)]
            generator, supervised = adam(["encoder"], GENERATOR_RATE), [adam(["encoder"], 1), adam(heads, 1)]

            def step():
                x = (tiles.float() / 255).unsqueeze(1).to(memory_format=layout)
                z = parts["encoder"](x)
                loss = F.mse_loss(parts["decoder"](z), x)
                move(reconstruction, loss)
                losses = [loss, judge(z)]
                loss = fooled(parts["encoder"](x))
                move([generator], loss)
                losses.append(loss)
                loss = classification(parts["encoder"](x))
                move(supervised, loss)
                return [float(each.detach()) for each in (*losses, loss)]
        else:
            joint = adam(["encoder", "decoder", *heads], 1)

            def step():
                x = (tiles.float() / 255).unsqueeze(1).to(memory_format=layout)
                z = parts["encoder"](x)
                loss = ALPHA * F.mse_loss(parts["decoder"](z), x) + JOINT_WEIGHT * fooled(z) + classification(z)
                move([joint], loss)
                return [float(loss.detach()), float(judge(z).detach())]

        return step

    return make, f"torch {torch.__version__}"


def tensorflow_steps():
    import tensorflow as tf
    from tensorflow import keras

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    layers = keras.layers

    def encoder():
        stack = []
        for i, (filters, pool) in enumerate(zip(FILTERS, POOLS)):
            stack += [layers.Conv2D(filters, 5, padding="same", use_bias=False), layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON)]
            stack += ([layers.ReLU()] if i < 2 else []) + [layers.MaxPool2D(pool)]
        return keras.Sequential(stack)

    def decoder():
        stack = []
        outs = (*reversed(FILTERS[:-1]), 1)
        for i, (out, stride) in enumerate(zip(outs, reversed(POOLS))):
            stack += [layers.Conv2DTranspose(out, 5, strides=stride, padding="same", use_bias=i == 2)]
            stack += [layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON), layers.ReLU()] if i < 2 else []
        return keras.Sequential(stack)

    def head(classes):
        return keras.Sequential(
            [layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPool2D(2), layers.Flatten(), layers.Dense(128, "relu"), layers.Dropout(0.5), layers.Dense(classes)]
        )

    def make(update, labelled, unlabelled):
        tf.random.set_seed(1)
        count = labelled + unlabelled
        heads = ("emotion", "gender", "speaker")
        parts = {"encoder": encoder(), "decoder": decoder(), "discriminator": head(1), "emotion": head(4), "gender": head(2), "speaker": head(256)}
        z = parts["encoder"](tf.zeros((1, *TILE, 1)))
        for name in parts:
            if name != "encoder":
                parts[name](z)
        adam = lambda rate: keras.optimizers.Adam(RATE * rate, epsilon=ADAM_EPSILON)
        weights = lambda names: [w for n in names for w in parts[n].trainable_weights]
        phases = update == "phases"
        discriminator = adam(DISCRIMINATOR_RATE if phases else JOINT_DISCRIMINATOR_RATE)
        optimisers = {name: adam(rate) for name, rate in (("re", ALPHA), ("rd", 1), ("g", GENERATOR_RATE), ("ce", 1), ("ch", 1), ("joint", 1))}
        tiles = tf.constant(tiles_of(count))
        classes = {"emotion": 4, "gender": 2, "speaker": SPEAKERS}
        labels = {task: tf.range(labelled) % number for task, number in classes.items()}
        entropy = lambda truth, logits: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits))
        binary = lambda target, logits: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), target), logits))

        def classification(z):
            losses = {t: entropy(labels[t], parts[t](z[:labelled], training=True)[:, : classes[t]]) for t in heads}
            return BETA * losses["emotion"] + (1 - BETA) * (losses["gender"] + losses["speaker"])

        def judge(z):
            with tf.GradientTape() as tape:
                real, fake = parts["discriminator"](tf.random.normal(tf.shape(z)), training=True), parts["discriminator"](z, training=True)
                loss = 0.5 * (binary(REAL_LABEL, real) + binary(0.0, fake))
            names = weights(["discriminator"])
            discriminator.apply_gradients(zip(tape.gradient(loss, names), names))
            return loss

        def move(loss, tape, groups):
            names = [weights(group) for _, group in groups]
            for (optimiser, _), gradients, group in zip(groups, tape.gradient(loss, names), names):
                optimisers[optimiser].apply_gradients(zip(gradients, group))

        @tf.function
        def three_phases():
            x = tf.cast(tiles, tf.float32)[..., None] / 255
            with tf.GradientTape() as tape:
                z = parts["encoder"](x, training=True)
                reconstruction = tf.reduce_mean((parts["decoder"](z, training=True) - x) ** 2)
            move(reconstruction, tape, [("re", ["encoder"]), ("rd", ["decoder"])])
            judged = judge(z)
            with tf.GradientTape() as tape:
                fooled = binary(1.0, parts["discriminator"](parts["encoder"](x, training=True), training=True))
            move(fooled, tape, [("g", ["encoder"])])
            with tf.GradientTape() as tape:
                loss = classification(parts["encoder"](x, training=True))
            move(loss, tape, [("ce", ["encoder"]), ("ch", heads)])
            return reconstruction, judged, fooled, loss

        @tf.function
        def joint():
            x = tf.cast(tiles, tf.float32)[..., None] / 255
            with tf.GradientTape() as tape:
                z = parts["encoder"](x, training=True)
                loss = ALPHA * tf.reduce_mean((parts["decoder"](z, training=True) - x) ** 2) + classification(z)
                loss += JOINT_WEIGHT * binary(1.0, parts["discriminator"](z, training=True))
            move(loss, tape, [("joint", ["encoder", "decoder", *heads])])
            return loss, judge(z)

        chosen = three_phases if phases else joint
        return lambda: [float(each) for each in chosen()]

    return make, f"tensorflow {tf.__version__}"


def main():
    make, versions = tensorflow_steps() if sys.argv[1] == "tensorflow" else torch_steps(sys.argv[1].endswith("channels-last"))
    for line in sys.stdin:
        if line.strip() == "versions":
            print(json.dumps(versions), flush=True)
            continue
        order = json.loads(line)
        step = make(order["update"], order["labelled"], order["unlabelled"])
        step()
        seconds = []
        for _ in range(order["steps"]):
            begun = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begun)
        print(json.dumps({"seconds": seconds, "peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


if __name__ == "__main__":
    main()
