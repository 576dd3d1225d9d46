#!/usr/bin/env python3
"""The steps that `tools/bench step` measures, in PyTorch: the same networks with random weights, the same loss, SGD.

    python3 -m venv venv && venv/bin/pip install torch torchvision timm transformers scipy
    tools/bench step --peer 'venv/bin/python tools/peers/step.py'

DeepLabV3, HRNet, OCRNet and Segmenter stand on backbones of timm and torchvision, with their heads written here as published;
SegFormer and MaskFormer are transformers'. Models are in channels_last, --bf16 is torch.autocast. Prints one line of JSON.
"""
import argparse
import json
import os
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

# torchvision's Python code is all that is needed: its compiled operators, which may not fit a CPU-only torch, are
# passed over.
register_fake = torch.library.register_fake
torch.library.register_fake = lambda op, *args, **kwargs: (
    (lambda function: function) if str(op).startswith("torchvision::") else register_fake(op, *args, **kwargs))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import timm  # noqa: E402

IGNORED = 255


def conv_norm_relu(incoming, outgoing, kernel, dilation=1, bias=False):
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=bias),
        nn.BatchNorm2d(outgoing), nn.ReLU(inplace=True))


class Network(nn.Module):
    """A network whose scores are trained by cross-entropy at the labels' size; auxiliary ones by 0.4 of theirs."""

    align_corners = False

    def loss(self, images, labels, autocast):
        with autocast:
            scores = self(images)
        total = 0
        for weight, low in zip((1, 0.4), scores):
            full = F.interpolate(low.float(), labels.shape[1:], mode="bilinear", align_corners=self.align_corners)
            total = total + weight * F.cross_entropy(full, labels, ignore_index=IGNORED)
        return total


class DeepLabV3(Network):
    """Output stride 16, atrous rates 12, 24, 36, no auxiliary head."""

    NAMES = {"mobilenetv1": "mobilenetv1_100", "mobilenetv2": "mobilenetv2_100"}

    def __init__(self, backbone, classes):
        super().__init__()
        if backbone == "mobilenetv3":
            import torchvision
            self.backbone = torchvision.models.mobilenet_v3_large(weights=None, dilated=True).features
            channels = 960
        else:
            features = timm.create_model(
                self.NAMES.get(backbone, backbone), features_only=True, output_stride=16, out_indices=(4,))
            channels = features.feature_info.channels()[-1]
            self.backbone = nn.Sequential(features, First())
        self.branches = nn.ModuleList(
            [conv_norm_relu(channels, 256, 1)] + [conv_norm_relu(channels, 256, 3, rate) for rate in (12, 24, 36)])
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_norm_relu(channels, 256, 1))
        self.project = nn.Sequential(conv_norm_relu(5 * 256, 256, 1), nn.Dropout(0.5))
        self.classifier = nn.Sequential(conv_norm_relu(256, 256, 3), nn.Conv2d(256, classes, 1))

    def forward(self, x):
        x = self.backbone(x)
        pooled = F.interpolate(self.pooled(x), x.shape[2:], mode="bilinear", align_corners=False)
        return [self.classifier(self.project(torch.cat([branch(x) for branch in self.branches] + [pooled], 1)))]


class First(nn.Module):
    def forward(self, maps):
        return maps[0]


class HighResolution(Network):
    """timm's HRNet with the branches concatenated; the authors' own head, or OCR's."""

    align_corners = True

    def __init__(self, backbone, classes, with_regions):
        super().__init__()
        whole = timm.create_model({"hrnetv2w18": "hrnet_w18", "hrnetv2w48": "hrnet_w48"}[backbone])
        # Its classifier's parts are not used.
        whole.incre_modules, whole.downsamp_modules = None, None
        whole.final_layer, whole.classifier = nn.Identity(), nn.Identity()
        self.backbone = whole
        channels = 15 * int(backbone[8:])
        self.coarse = nn.Sequential(conv_norm_relu(channels, channels, 1, bias=True), nn.Conv2d(channels, classes, 1))
        self.regions = Regions(channels, classes) if with_regions else None

    def forward(self, x):
        branches = self.backbone.stages(self.stem(x))
        size = branches[0].shape[2:]
        x = torch.cat([branches[0]] + [
            F.interpolate(branch, size, mode="bilinear", align_corners=True) for branch in branches[1:]], 1)
        coarse = self.coarse(x)
        return [coarse] if self.regions is None else [self.regions(x, coarse), coarse]

    def stem(self, x):
        net = self.backbone
        return net.act2(net.bn2(net.conv2(net.act1(net.bn1(net.conv1(x))))))


class Regions(nn.Module):
    """OCR: the regions that coarse scores tell are gathered, and every pixel attends to them."""

    def __init__(self, channels, classes, middle=512, key=256):
        super().__init__()
        chain = lambda *widths: nn.Sequential(*(conv_norm_relu(a, b, 1) for a, b in zip(widths, widths[1:])))
        self.pixels = conv_norm_relu(channels, middle, 3, bias=True)
        self.query, self.keys = chain(middle, key, key), chain(middle, key, key)
        self.values, self.up = chain(middle, key), chain(key, middle)
        self.fuse = nn.Sequential(conv_norm_relu(2 * middle, middle, 1), nn.Dropout2d(0.05))
        self.classifier = nn.Conv2d(middle, classes, 1)
        self.scale = key ** -0.5

    def forward(self, x, coarse):
        x = self.pixels(x)
        weights = coarse.flatten(2).softmax(2)
        regions = (weights @ x.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)
        query = self.query(x).flatten(2).transpose(1, 2)
        similarity = ((query @ self.keys(regions).flatten(2)) * self.scale).softmax(2)
        context = (similarity @ self.values(regions).flatten(2).transpose(1, 2)).transpose(1, 2)
        context = self.up(context.unflatten(2, x.shape[2:]).contiguous(memory_format=torch.channels_last))
        return self.classifier(self.fuse(torch.cat([context, x], 1)))


class Segmenter(Network):
    """timm's ViT and the mask transformer of two blocks."""

    def __init__(self, backbone, classes):
        super().__init__()
        size = {"vitt16": "tiny", "vits16": "small", "vitb16": "base", "vitl16": "large"}[backbone]
        self.encoder = timm.create_model(
            f"vit_{size}_patch16_384", num_classes=0, dynamic_img_size=True, drop_path_rate=0.1)
        width = self.encoder.embed_dim
        self.project = nn.Linear(width, width)
        self.classes = nn.Parameter(torch.randn(1, classes, width) * 0.02)
        block = timm.models.vision_transformer.Block
        self.blocks = nn.Sequential(
            *(block(width, max(1, width // 64), qkv_bias=True, proj_drop=0.1, attn_drop=0.1) for _ in range(2)))
        self.norm, self.mask_norm = nn.LayerNorm(width), nn.LayerNorm(classes)
        self.patch = nn.Parameter(torch.randn(width, width) * width ** -0.5)
        self.label = nn.Parameter(torch.randn(width, width) * width ** -0.5)

    def forward(self, images):
        x = self.project(self.encoder.forward_features(images)[:, 1:])
        count = x.shape[1]
        x = self.norm(self.blocks(torch.cat([x, self.classes.expand(len(x), -1, -1).to(x.dtype)], 1)))
        patches, labels = x[:, :count] @ self.patch, x[:, count:] @ self.label
        patches = patches / patches.norm(dim=-1, keepdim=True)
        labels = labels / labels.norm(dim=-1, keepdim=True)
        masks = self.mask_norm(patches @ labels.transpose(1, 2))
        return [masks.unflatten(1, (images.shape[2] // 16, images.shape[3] // 16)).permute(0, 3, 1, 2)]


class SegFormer(Network):
    SIZES = {  # widths, depths, decoder
        "mitb0": ([32, 64, 160, 256], [2, 2, 2, 2], 256), "mitb1": ([64, 128, 320, 512], [2, 2, 2, 2], 256),
        "mitb2": ([64, 128, 320, 512], [3, 4, 6, 3], 768), "mitb3": ([64, 128, 320, 512], [3, 4, 18, 3], 768),
        "mitb4": ([64, 128, 320, 512], [3, 8, 27, 3], 768), "mitb5": ([64, 128, 320, 512], [3, 6, 40, 3], 768),
    }

    def __init__(self, backbone, classes):
        super().__init__()
        from transformers import SegformerConfig, SegformerForSemanticSegmentation
        widths, depths, decoder = self.SIZES[backbone]
        self.net = SegformerForSemanticSegmentation(SegformerConfig(
            num_labels=classes, hidden_sizes=widths, depths=depths, decoder_hidden_size=decoder))

    def forward(self, x):
        return [self.net(pixel_values=x).logits]


class MaskFormer(nn.Module):
    """transformers' own loss, behind every decoder layer. Labels become one mask per class that occurs."""

    SWINS = {  # width, depths, heads
        "swint": (96, [2, 2, 6, 2], [3, 6, 12, 24]), "swins": (96, [2, 2, 18, 2], [3, 6, 12, 24]),
        "swinb": (128, [2, 2, 18, 2], [4, 8, 16, 32]), "swinl": (192, [2, 2, 18, 2], [6, 12, 24, 48]),
    }

    def __init__(self, backbone, classes):
        super().__init__()
        import transformers
        stages = ["stage1", "stage2", "stage3", "stage4"]
        if backbone in self.SWINS:
            width, depths, heads = self.SWINS[backbone]
            features = transformers.MaskFormerSwinConfig(
                embed_dim=width, depths=depths, num_heads=heads, window_size=12 if width > 96 else 7,
                out_features=stages, drop_path_rate=0.3)
        else:
            depths = {"resnet50": [3, 4, 6, 3], "resnet101": [3, 4, 23, 3]}[backbone]
            features = transformers.ResNetConfig(depths=depths, out_features=stages)
        config = transformers.MaskFormerConfig(
            backbone_config=features, decoder_config=transformers.DetrConfig(num_queries=100, auxiliary_loss=True), num_labels=classes)
        config.use_auxiliary_loss = True
        self.net = transformers.MaskFormerForInstanceSegmentation(config)

    def loss(self, images, labels, autocast):
        present = [row.unique() for row in labels]
        present = [found[found != IGNORED] for found in present]
        present_masks = [(row[None] == found[:, None, None]).float() for row, found in zip(labels, present)]
        net = self.net
        with autocast:
            features, pixels = net.model.pixel_level_module(images, False)[:2]
            states = net.model.transformer_module(features).intermediate_hidden_states
            states = torch.stack(list(states))
            classes = net.class_predictor(states).float()
            masks = torch.einsum("lbqc,bchw->lbqhw", net.mask_embedder(states), pixels).float()
        earlier = [
            {"masks_queries_logits": mask, "class_queries_logits": name} for mask, name in zip(masks[:-1], classes[:-1])]
        # By hand, as the package's own forward pass fails with use_auxiliary_loss (transformers 5.24).
        return net.get_loss(net.get_loss_dict(masks[-1], classes[-1], present_masks, present, earlier))


def build(name, classes):
    head, backbone = name.split("-")
    if head in ("hrnet", "ocrnet"):
        return HighResolution(backbone, classes, head == "ocrnet")
    return {"deeplabv3": DeepLabV3, "segformer": SegFormer, "segmenter": Segmenter, "maskformer": MaskFormer}[head](
        backbone, classes)


def median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="HEAD-BACKBONE, as a recipe names them")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, nargs=2, default=[240, 320])
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--skip", type=int, default=2)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = build(options.model, options.classes).train().to(memory_format=torch.channels_last)
    images = torch.randn(options.batch, 3, *options.crop).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(options.classes, (options.batch, *options.crop))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-5, momentum=0.9, weight_decay=5e-4)
    steps = []
    for _ in range(options.steps):
        marks = [time.perf_counter()]
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=options.bf16)
        loss = network.loss(images, labels, autocast)
        marks.append(time.perf_counter())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        steps.append([1000 * (b - a) for a, b in zip(marks, marks[1:])])
    if not torch.isfinite(loss):
        sys.exit(f"the loss is {loss.item()}")
    steps = steps[options.skip:]
    totals = [sum(parts) for parts in steps]
    print(json.dumps({
        "median_ms": median(totals), "min_ms": min(totals), "max_ms": max(totals),
        "parts_ms": {name: median(values) for name, values in zip(("forward", "backward", "optimizer"), zip(*steps))},
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "params_m": sum(p.numel() for p in network.parameters()) / 1e6,
    }))


if __name__ == "__main__":
    main()
