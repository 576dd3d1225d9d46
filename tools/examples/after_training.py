#!/usr/bin/env python3
# %% [markdown]
# # After training: a run in PyTorch
#
# Takes a run directory, exports its network, runs it in PyTorch, compares PyTorch's label map of an image with PicoFlow's,
# and reads the run's metrics. Cells begin at `# %%`: VS Code runs them one by one, `jupytext --to notebook` makes a
# notebook of them, and plain Python runs them all:
#
#     tools/demo                                              # makes runs/demo-1 and demo-data
#     python3 tools/examples/after_training.py --run runs/demo-1 --image demo-data/val/00000.jpg
#
# Needs `picoflow` on the PATH, and torch, numpy, safetensors and pillow (`pip install torch numpy safetensors pillow`). With
# matplotlib it also draws a figure.

# %%
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

try:
    import numpy as np
    import torch
    from PIL import Image, ImageOps
    from safetensors.torch import load_file
except ImportError as error:
    sys.exit(f"no {error.name}; in a virtual environment: pip install torch numpy safetensors pillow")

# %% [markdown]
# ## Settings
#
# In a notebook, change the defaults here.

# %%
parser = argparse.ArgumentParser(description="Loads a run's network into PyTorch and looks at what the run left.")
parser.add_argument("--run", type=pathlib.Path, default="runs/demo-1", help="the run's directory (%(default)s)")
parser.add_argument("--image", type=pathlib.Path, default="demo-data/val/00000.jpg", help="an image (%(default)s)")
parser.add_argument("--out", type=pathlib.Path, help="folder for what is made (RUN/after-training)")
# A notebook's kernel has arguments of its own, which are not for us.
options = parser.parse_args([] if "ipykernel" in sys.modules else None)

for path, option in [(options.run / "metrics.jsonl", "--run"), (options.image, "--image")]:
    if not path.exists():
        sys.exit(f"{path}: is not there; name another by {option}")
# PICOFLOW_BIN names a folder of executables that is not on the PATH.
program = shutil.which("picoflow", path=os.pathsep.join([os.environ.get("PICOFLOW_BIN", ""), os.environ["PATH"]]))
if program is None:
    sys.exit("picoflow is not on the PATH: export PATH=\"$PWD/.build/release:$PATH\" where PicoFlow was built")
options.out = options.out or options.run / "after-training"
options.out.mkdir(parents=True, exist_ok=True)


def picoflow(*words):
    """Runs a command of PicoFlow, shows it and what it prints, and stops here where it fails."""
    words = [str(word) for word in words]
    print("$ picoflow", *words)
    found = subprocess.run([program, *words], stdout=subprocess.PIPE, text=True)
    print(found.stdout)
    if found.returncode != 0:
        sys.exit(f"picoflow {words[0]} failed; what it says is above")
    return found.stdout


# %% [markdown]
# ## Export
#
# Twice. *safetensors* holds the weights under the names of the published PyTorch model, for those who have its code:
# `load_state_dict(load_file(...), strict=True)`. *TorchScript* holds the network itself and needs no code at all, but takes
# images of one size; here that of our image, or as much smaller as the run sees images.

# %%
picture = ImageOps.exif_transpose(Image.open(options.image)).convert("RGB")
width, height = picture.size
weights_file, script_file = options.out / "network.safetensors", options.out / "network.pt"
exported = json.loads(picoflow("export", "--run", options.run, "--to", weights_file, "--json"))
seen = [max(1, round(side * exported.get("scale", 1))) for side in (height, width)]
picoflow("export", "--run", options.run, "--to", script_file, "--format", "torchscript", "--size", "x".join(map(str, seen)))

# %% [markdown]
# ## The weights
#
# Of what PicoFlow trains beside the network, the projection head and the memory, nothing is left in it.

# %%
weights = load_file(weights_file)
values = sum(tensor.numel() for tensor in weights.values())
print(f"{len(weights)} tensors, {values:,} values, of them the first and the last:")
names = list(weights)
for name in names[:3] + names[-3:]:
    print(f"  {name:48} {list(weights[name].shape)} {weights[name].dtype}")
not_finite = [name for name, tensor in weights.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
if not_finite:
    sys.exit(f"{weights_file}: holds what is no number, in {', '.join(not_finite)}")

# %% [markdown]
# ## The network
#
# `picoflow.json`, a text inside the TorchScript file, names the classes and says what the network takes: RGB from 0 to 1. The
# published weights' normalisation, (image - mean) / deviation per channel, is its first layer: it must *not* be done here.
# It returns scores `[N, classes, height, width]`; the highest of a pixel is its class.

# %%
about = {"picoflow.json": ""}
network = torch.jit.load(script_file, map_location="cpu", _extra_files=about).eval()
about = json.loads(about["picoflow.json"])
classes = about["classes"]
print(f"{about['head']} on {about['backbone']}, {len(classes)} classes; input: {about['input']}")

images = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255  # [1, 3, height, width]
with torch.inference_mode():
    # Neither changes anything where the run sees images as they are.
    scores = network(torch.nn.functional.interpolate(images, seen, mode="bilinear"))
    scores = torch.nn.functional.interpolate(scores, (height, width), mode="bilinear")  # [1, classes, height, width]
theirs = scores[0].argmax(0).numpy()  # [height, width]

# %% [markdown]
# Both files hold the same network: each tensor of the weights is found in the program, value for value.

# %%
inside = {}
for tensor in network.state_dict().values():
    inside.setdefault(tuple(tensor.shape), []).append(tensor)
missing = [
    name for name, tensor in weights.items()
    if not any(torch.equal(tensor, other) for other in inside.get(tuple(tensor.shape), []))
]
print(f"{len(weights) - len(missing)} of {len(weights)} tensors are in the TorchScript program too")

# %% [markdown]
# ## The same by PicoFlow
#
# `picoflow predict` writes the classes painted over the image, and with `--labels` their numbers. It labels as the recipe's
# `evaluate` says. At several scales, or in windows of the training crop where an image is larger, it averages what we have
# looked at once, so fewer pixels agree then. Decoders of JPEG differ in single bits: some pixels between two classes go the
# other way.

# %%
picoflow("predict", "--run", options.run, options.image, "--out", options.out, "--labels", options.out / "labels")
ours = np.array(Image.open(options.out / "labels" / f"{options.image.stem}.png"))  # [height, width]
agreement = float((ours == theirs).mean())
print(f"PyTorch and PicoFlow agree on {100 * agreement:.3f} % of {ours.size} pixels")

# %% [markdown]
# ## Metrics
#
# `metrics.jsonl` has one JSON object per line: one per step, with `ce` and, once contrast has set in, `nce`, and one per
# evaluation, with `mIoU`. A run that was killed went back to a checkpoint and did some steps again: of equal steps the last
# line counts.

# %%
lines = [json.loads(line) for line in (options.run / "metrics.jsonl").read_text().splitlines()]
steps = {line["step"]: line for line in lines if "ce" in line}
evaluated = {line["step"]: line["mIoU"] for line in lines if "mIoU" in line}


def curve(key, width=20):
    """Steps and values of a key; each value is the mean of up to `width` before it, as single steps jump."""
    found = [(step, steps[step][key]) for step in sorted(steps) if steps[step].get(key) is not None]
    series = np.array([value for _, value in found])
    return [step for step, _ in found], [series[max(0, i + 1 - width):i + 1].mean() for i in range(len(series))]


for key, meaning in [("ce", "cross-entropy"), ("nce", "contrastive loss")]:
    at, series = curve(key)
    if at:
        print(f"{meaning}: {series[0]:.3f} at step {at[0]}, {series[-1]:.3f} at step {at[-1]}")
seconds = sum(line["milliseconds"] for line in steps.values()) / 1000
print(f"{len(steps)} steps in {seconds:.0f} s")
for step, mean in evaluated.items():
    print(f"mIoU at step {step}: {100 * mean:.2f} %")

# %% [markdown]
# ## Each class
#
# `evaluations/step-NNNNNN.json` has each class's intersection over union, or null for one that the split does not have. The
# newest counts.

# %%
paths = sorted((options.run / "evaluations").glob("step-*.json"))
# One that failed says so instead.
reports = [(path.name, report) for path in paths if "classes" in (report := json.loads(path.read_text()))]
per_class = {}
if reports:
    name, report = reports[-1]
    per_class = {entry["name"]: entry.get("iou") for entry in report["classes"]}
    average = "nothing counted" if report.get("mIoU") is None else f"{100 * report['mIoU']:.2f} % on average"
    print(f"{name}, {average}:")
    for name, iou in sorted(per_class.items(), key=lambda pair: -1 if pair[1] is None else pair[1], reverse=True):
        print(f"  {name:16}", "absent" if iou is None else f"{100 * iou:6.2f} %  " + "#" * round(40 * iou))
else:
    print("the run has not been evaluated; picoflow eval does it")

# %% [markdown]
# ## A figure
#
# The curves, the image, both label maps, and where they differ.

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    figure_file = None
    print("no figure: matplotlib is not installed (pip install matplotlib)")
else:
    figure_file = options.out / "after-training.png"
    figure, axes = plt.subplots(2, 3, figsize=(12, 6), layout="constrained")
    for axis, key, title in [(axes[0, 0], "ce", "cross-entropy"), (axes[0, 1], "nce", "contrastive loss")]:
        axis.plot(*curve(key))
        axis.set(title=title, xlabel="step")
    axes[0, 2].barh(list(per_class), [iou or 0 for iou in per_class.values()])
    axes[0, 2].invert_yaxis()
    axes[0, 2].set(title="IoU of each class", xlim=(0, 1))
    palette = dict(cmap="tab20", vmin=0, vmax=max(19, len(classes) - 1), interpolation="nearest")
    axes[1, 0].imshow(picture)
    axes[1, 1].imshow(ours, **palette)
    axes[1, 2].imshow(np.where(ours == theirs, np.nan, theirs), **palette)
    titles = [options.image.name, "classes, by PicoFlow", f"where PyTorch differs: {100 * (1 - agreement):.3f} %"]
    for axis, title in zip(axes[1], titles):
        axis.set(title=title, xticks=[], yticks=[])
    figure.savefig(figure_file, dpi=120, bbox_inches="tight")
    print(f"{figure_file}: the figure")

# %% [markdown]
# ## What came out
#
# For programs.

# %%
summary = dict(
    tensors=len(weights), values=values, missing=missing, classes=classes, agreement=agreement, steps=len(steps),
    firstLoss=curve("ce")[1][0], lastLoss=curve("ce")[1][-1], mIoU=evaluated, iou=per_class,
    figure=figure_file and str(figure_file))
(options.out / "summary.json").write_text(json.dumps(summary, indent=2))
print(f"{options.out / 'summary.json'}: all of this in numbers")
