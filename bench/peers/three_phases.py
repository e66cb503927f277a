"""
The paper's three-phase step in PyTorch, written only from the paper and the design, as a reference for ours.

    node dist/bench/export-three-phases.js > cases.json
    python bench/peers/three_phases.py cases.json test/golden/model/three-phases.json

For each case, from the same initial weights, tiles, labels and prior samples: the losses of every step and the weights
after 5 steps of plain gradient descent and after 10 of Adam, and the gradients of the first step by optimiser and
parameter. oneDNN off, float32, dropout 0. Arrays are float32, little-endian, base64, in our layouts (NHWC, kernels
[height, width, in, out], transposed ones [height, width, out, in]).
"""
import base64
import json
import math
import sys

import numpy as np
import torch
from torch.nn import functional as F

torch.backends.mkldnn.enabled = False
torch.set_num_threads(1)
BATCH_NORM_EPSILON = 1e-3
BETA_1, BETA_2 = 0.9, 0.999


def is_multi_task(settings: dict) -> bool:
    return settings["auxiliary"]["gender"] or settings["auxiliary"]["speaker"]


def objective_weights(settings: dict) -> dict:
    """Eq. 1 (single-task) and eq. 2 and 3 (multi-task), written independently of ours; a CNN has no alpha."""
    if is_multi_task(settings):
        tasks = {"emotion": settings["beta"], "gender": 1 - settings["beta"], "speaker": 1 - settings["beta"]}
    else:
        classification = 1 if settings["system"] == "cnn" else 1 - settings["alpha"]
        tasks = {"emotion": classification, "gender": 0, "speaker": 0}
    generator = settings["joint"]["adversarialWeight"] if settings["update"] == "joint" else 1
    return {"reconstruction": settings["alpha"], "generator": generator, **tasks}


def learning_rate(settings: dict, optimiser: str) -> float:
    """With one optimiser per phase, alpha scales the encoder's learning rate (docs/paper.md)."""
    alone = is_multi_task(settings) or settings["system"] == "cnn"
    discriminator = settings["joint" if settings["update"] == "joint" else "regularisation"]["discriminatorRate"]
    factors = {
        "reconstruction.encoder": settings["alpha"],
        "reconstruction.decoder": 1,
        "regularisation.discriminator": discriminator,
        "regularisation.encoder": settings["regularisation"]["encoderRate"],
        "classification.encoder": 1 if alone else 1 - settings["alpha"],
        "classification.heads": 1,
        "joint": 1,
    }
    return settings["learningRate"] * factors[optimiser]


def encoded(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, np.float32).tobytes()).decode()


class Model:
    """Holds weights as leaf tensors under our names, and the networks as functions of them. Activations are NCHW."""

    def __init__(self, case: dict):
        self.case, self.settings = case, case["settings"]
        self.weights = {
            w["name"]: torch.tensor(w["values"], dtype=torch.float32).reshape(w["shape"]).requires_grad_("running" not in w["name"])
            for w in case["weights"]
        }
        depth = 2 if self.settings["system"] == "cnn" else len(self.settings["filters"])
        self.pools = self.settings["pools"][:depth]

    def normalised(self, x, layer, observed):
        mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
        if observed is not None:
            observed.append((layer, mean.detach(), variance.detach()))
        shape = (1, -1, 1, 1)
        gamma, beta = self.weights[f"{layer}.gamma"], self.weights[f"{layer}.beta"]
        return (x - mean.reshape(shape)) / torch.sqrt(variance + BATCH_NORM_EPSILON).reshape(shape) * gamma.reshape(shape) + beta.reshape(shape)

    def encode(self, x, observed=None):
        gaussian = self.settings["system"] != "cnn" and self.settings["latent"] == "gaussian"
        for i, pool in enumerate(self.pools):
            kernel = self.weights[f"encoder.{i}.kernel"].permute(3, 2, 0, 1)
            x = self.normalised(F.conv2d(x, kernel, padding="same"), f"encoder.{i}.norm", observed)
            if not (gaussian and i == len(self.pools) - 1):
                x = F.relu(x)
            x = F.max_pool2d(x, tuple(pool))
        return x

    def decode(self, z, observed=None):
        size = self.settings["kernel"]
        for i, stride in enumerate(reversed(self.pools)):
            kernel = self.weights[f"decoder.{i}.kernel"].permute(3, 2, 0, 1)
            rows, frames = z.shape[2] * stride[0], z.shape[3] * stride[1]
            top, left = (size - stride[0]) // 2, (size - stride[1]) // 2
            z = F.conv_transpose2d(z, kernel, stride=tuple(stride))[:, :, top : top + rows, left : left + frames]
            if i < len(self.pools) - 1:
                z = F.relu(self.normalised(z, f"decoder.{i}.norm", observed))
            else:
                z = z + self.weights[f"decoder.{i}.bias"].reshape(1, -1, 1, 1)
        return z

    def logits(self, head, z):
        kernel = self.weights[f"{head}.convolution.kernel"].permute(3, 2, 0, 1)
        x = F.relu(F.conv2d(z, kernel, self.weights[f"{head}.convolution.bias"], padding="same"))
        x = F.max_pool2d(x, 2).permute(0, 2, 3, 1).reshape(len(z), -1)
        x = F.relu(x @ self.weights[f"{head}.hidden.kernel"] + self.weights[f"{head}.hidden.bias"])
        return x @ self.weights[f"{head}.output.kernel"] + self.weights[f"{head}.output.bias"]

    def task_losses(self, z):
        """Losses of the heads that exist, have a weight above 0 and a labelled tile, as the mean over labelled tiles."""
        losses = {}
        for task in ("emotion", "gender", "speaker"):
            labels = torch.tensor(self.case["labels"][task])
            known = labels >= 0
            if f"{task}.output.kernel" not in self.weights or not objective_weights(self.settings)[task] or not known.any():
                continue
            logits = self.logits(task, z)
            if task == "speaker":
                logits = logits[:, : self.case["speakerCount"]]
            losses[task] = F.cross_entropy(logits[known], labels[known], label_smoothing=self.settings["labelSmoothing"])
            if task == "speaker" and self.settings["speakerLoss"] == "perLogK":
                losses[task] = losses[task] / math.log(self.case["speakerCount"])
        return losses

    def blend_statistics(self, observed):
        momentum = self.settings["batchNormMomentum"]
        for layer, mean, variance in observed:
            for name, seen in (("runningMean", mean), ("runningVariance", variance)):
                running = self.weights[f"{layer}.{name}"]
                running.mul_(momentum).add_(seen, alpha=1 - momentum)


class Optimiser:
    def __init__(self, model, described, rule):
        self.model, self.rule, self.name, self.rate = model, rule, described["name"], learning_rate(model.settings, described["name"])
        self.names = described["parameters"]
        self.moments = {n: [torch.zeros_like(model.weights[n]), torch.zeros_like(model.weights[n]), 0] for n in self.names}

    def apply(self, loss, gradients_seen):
        gradients = torch.autograd.grad(loss, [self.model.weights[n] for n in self.names], allow_unused=True, retain_graph=True)
        return lambda: self.move(gradients, gradients_seen)

    @torch.no_grad()
    def move(self, gradients, gradients_seen):
        for name, gradient in zip(self.names, gradients):
            if gradient is None:
                continue
            gradients_seen.setdefault(f"{self.name}/{name}", gradient.clone())
            weight = self.model.weights[name]
            if self.rule == "sgd":
                weight -= self.model.case["sgdRate"] * gradient
                continue
            moment = self.moments[name]
            moment[0] = BETA_1 * moment[0] + (1 - BETA_1) * gradient
            moment[1] = BETA_2 * moment[1] + (1 - BETA_2) * gradient**2
            moment[2] += 1
            corrected = [moment[0] / (1 - BETA_1 ** moment[2]), moment[1] / (1 - BETA_2 ** moment[2])]
            weight -= self.rate * corrected[0] / (torch.sqrt(corrected[1]) + self.model.settings["adamEpsilon"])


def discriminator_step(model, z, prior, optimiser, seen):
    real, fake = model.logits("discriminator", prior), model.logits("discriminator", z)
    label = torch.full_like(real, model.settings["regularisation"]["realLabel"])
    loss = 0.5 * (F.binary_cross_entropy_with_logits(real, label) + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))
    optimiser.apply(loss, seen)()
    return float(loss), float(0.5 * ((real > 0).float().mean() + (fake < 0).float().mean()))


def generator_loss(model, z):
    logits = model.logits("discriminator", z)
    if model.settings["regularisation"]["generatorLoss"] == "literal":
        return torch.log(1 - torch.sigmoid(logits)).mean()
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def step(model, x, prior, optimisers, seen):
    settings, weights = model.settings, objective_weights(model.settings)
    losses = {}
    if "joint" in optimisers:
        observed = []
        z = model.encode(x, observed)
        parts = {"reconstruction": F.mse_loss(model.decode(z, observed), x), **model.task_losses(z)}
        if settings["system"] == "aae":
            parts["generator"] = generator_loss(model, z)
        optimisers["joint"].apply(sum(weights[name] * part for name, part in parts.items()), seen)()
        with torch.no_grad():
            model.blend_statistics(observed)
        losses.update({name: float(part) for name, part in parts.items()})
        if settings["system"] == "aae":
            losses["discriminator"], losses["discriminatorAccuracy"] = discriminator_step(
                model, z.detach(), prior, optimisers["regularisation.discriminator"], seen
            )
        return losses
    if settings["system"] != "cnn":
        observed = []
        z = model.encode(x, observed)
        loss = F.mse_loss(model.decode(z, observed), x)
        moves = [optimisers[f"reconstruction.{part}"].apply(loss, seen) for part in ("encoder", "decoder")]
        for move in moves:
            move()
        with torch.no_grad():
            model.blend_statistics(observed)
        losses["reconstruction"] = float(loss)
        if settings["system"] == "aae":
            losses["discriminator"], losses["discriminatorAccuracy"] = discriminator_step(
                model, z.detach(), prior, optimisers["regularisation.discriminator"], seen
            )
            loss = generator_loss(model, model.encode(x))
            optimisers["regularisation.encoder"].apply(loss, seen)()
            losses["generator"] = float(loss)
    observed = []
    parts = model.task_losses(model.encode(x, observed))
    multi_task = settings["auxiliary"]["gender"] or settings["auxiliary"]["speaker"]
    share = lambda task: (1 if task == "emotion" else 0) if not multi_task else settings["beta"] if task == "emotion" else 1 - settings["beta"]
    loss = sum(share(task) * part for task, part in parts.items())
    moves = [optimisers[f"classification.{part}"].apply(loss, seen) for part in ("encoder", "heads")]
    for move in moves:
        move()
    if settings["system"] == "cnn":
        with torch.no_grad():
            model.blend_statistics(observed)
    losses.update({task: float(part) for task, part in parts.items()})
    return losses


def run(case, rule, steps):
    model = Model(case)
    rows, frames = model.settings["tile"]
    x = torch.tensor(case["tiles"], dtype=torch.float32).reshape(case["count"], 1, rows, frames) / 255
    optimisers = {o["name"]: Optimiser(model, o, rule) for o in case["optimisers"]}
    seen, losses = {}, []
    for number in range(steps):
        with torch.no_grad():
            shape = model.encode(x).shape
        prior = torch.tensor(case["priors"][number], dtype=torch.float32).reshape(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)
        if model.settings["latent"] == "relu":
            prior = F.relu(prior)
        losses.append(step(model, x, prior, optimisers, seen))
    return model, losses, seen


def main():
    cases = json.load(open(sys.argv[1]))
    results = []
    for case in cases:
        sgd, sgd_losses, seen = run(case, "sgd", case["sgdSteps"])
        adam, adam_losses, _ = run(case, "adam", case["adamSteps"])
        weights = lambda model: {name: encoded(value.detach().numpy()) for name, value in model.weights.items()}
        results.append(
            {
                "name": case["name"],
                "sgd": {"losses": sgd_losses, "weights": weights(sgd)},
                "adam": {"losses": adam_losses, "weights": weights(adam)},
                "gradients": {name: encoded(value.numpy()) for name, value in seen.items()},
            }
        )
        print(case["name"], sgd_losses[0], sgd_losses[-1])
    json.dump({"torch": torch.__version__, "cases": results}, open(sys.argv[2], "w"))


if __name__ == "__main__":
    main()
