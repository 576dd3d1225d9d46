import Testing

@testable import Configuration

/// As an error lists them.
private let backbones = ModelSettings.Backbone.allCases.map(\.rawValue).joined(separator: ", ")

@Suite struct RecipeErrorTests {
    @Test func unknownKeysNameFileLineAndNearestKey() {
        #expect(
            recipeMessage("dataset: {root: d}\nschedule:\n  batch: 4\n  iteration: 5\n")
                == "r.yaml:4: unknown key 'schedule.iteration'; did you mean 'schedule.iterations'?")
        #expect(
            recipeMessage(minimal, "schedule.iteration=5")
                == "--set schedule.iteration=5: unknown key 'schedule.iteration'; did you mean 'schedule.iterations'?")
        // The same key in another section beats a similar one here.
        #expect(
            recipeMessage("model: {batch: 4}\n")
                == "r.yaml:1: unknown key 'model.batch'; did you mean 'schedule.batch'?")
        #expect(
            recipeMessage(minimal, "iterations=5")
                == "--set iterations=5: unknown key 'iterations'; did you mean 'schedule.iterations'?")
        #expect(recipeMessage("shedule: {batch: 4}\n") == "r.yaml:1: unknown key 'shedule'; did you mean 'schedule'?")
        #expect(recipeMessage("part: {model: x}\n") == "r.yaml:1: unknown key 'part'; did you mean 'parts'?")
        #expect(
            recipeMessage("checkpoints:\n  frequency: 4\n")
                == "r.yaml:2: unknown key 'checkpoints.frequency'; the keys here are every, keep")
        #expect(recipeMessage("[1, 2]: 3\n") == "r.yaml:1: a key must be text, not [1, 2]")
    }

    @Test(arguments: [
        ("schedule.iterations", "many", "an integer, not 'many'"),
        ("schedule.iterations", "5.5", "an integer, not '5.5'"),
        ("schedule.iterations", "\"5\"", "an integer, not '5'"),
        ("schedule.iterations", "0x10", "an integer, not '0x10'"),
        ("schedule.iterations", "1:30", "an integer, not '1:30'"),
        ("schedule.iterations", "99999999999", "an integer, not '99999999999'; numbers go up to 2147483647"),
        ("schedule.iterations", "", "an integer, not nothing"),
        ("schedule.iterations", "[5]", "an integer, not [5]"),
        ("schedule.iterations", "{a: 5}", "an integer, not a mapping"),
        ("seed", "-1", "an integer from 0 to 18446744073709551615, not '-1'"),
        ("schedule.lr", "high", "a number, not 'high'"),
        ("schedule.lr", ".nan", "a number, not '.nan'"),
        ("schedule.lr", "inf", "a number, not 'inf'"),
        ("schedule.lr", "1e999", "a number, not '1e999'"),
        ("evaluate.flip", "yes", "true or false, not 'yes'"),
        ("model.atrousRates", "6", "a list of integers, not '6'"),
        ("model.atrousRates", "[6, twelve]", "a list of integers, not [6, twelve]"),
        ("evaluate.scales", "[1, [2]]", "a list of numbers, not [1, …]"),
        ("dataset.root", "", "text, not nothing"),
        ("dataset.root", "[a, b]", "text, not [a, b]"),
        ("contrast.pixelQueue", "long", "an integer, or null, not 'long'"),
        ("sampler.strategy", "hardst", "one of random, hardest, semi-hard, not 'hardst'; did you mean 'hardest'?"),
        ("model.backbone", "vgg", "one of \(backbones), not 'vgg'"),
        ("schedule", "5", "a mapping of keys to values, not '5'"),
        ("schedule", "", "a mapping of keys to values, not nothing"),
    ])
    func illTypedValues(key: String, value: String, expected: String) {
        #expect(recipeMessage(minimal, "\(key)=\(value)") == "--set \(key)=\(value): '\(key)' must be \(expected)")
    }

    @Test func transformersNameTheBackbonesThatTheyStandOn() {
        #expect(
            recipeMessage(minimal, "model.head=segmenter")
                == "--set model.head=segmenter: 'model.backbone' must be vitt16 or vits16 or vitb16 or vitl16 under "
                + "'model.head' segmenter, not 'mobilenetv2'")
        #expect(
            recipeMessage(minimal, "model={head: segformer, backbone: vitt16}").contains(
                "'model.backbone' must be mitb0 or mitb1 or "))
        #expect(recipeMessage(minimal, "model={head: segformer, backbone: mitb5, width: 0.5}").isEmpty)
    }

    @Test func headsNameTheBackbonesThatTheyStandOn() {
        #expect(
            recipeMessage(minimal, "model.head=ocrnet")
                == "--set model.head=ocrnet: 'model.backbone' must be hrnetv2w18 or hrnetv2w48 under 'model.head' ocrnet, "
                + "not 'mobilenetv2'")
        #expect(
            recipeMessage(minimal, "model.backbone=hrnetv2w48").hasPrefix(
                "--set model.backbone=hrnetv2w48: 'model.backbone' must be mobilenetv1 or mobilenetv2 or "))
        #expect(
            recipeMessage(minimal, "model.auxiliary=true")
                == "--set model.auxiliary=true: 'model.auxiliary' must be false here: it is for 'model.head' deeplabv3 on "
                + "mobilenetv3 or resnet18 or resnet34 or resnet50 or resnet101")
        #expect(
            recipeMessage(minimal, "model={head: ocrnet, backbone: hrnetv2w18, auxiliary: true}").hasSuffix("its own"))
        #expect(recipeMessage(minimal, "model={head: hrnet, backbone: hrnetv2w18, width: 0.5}").isEmpty)
        #expect(recipeMessage(minimal, "model={backbone: resnet18, auxiliary: true}").isEmpty)
        #expect(recipeMessage(minimal, "schedule.frozenNorms=true").isEmpty)
        #expect(
            recipeMessage(minimal, "model={head: segformer, backbone: mitb0}", "schedule.frozenNorms=true")
                == "--set schedule.frozenNorms=true: 'schedule.frozenNorms' must be false here: mitb0 has no batch norms"
        )
    }

    @Test(arguments: [
        ("augmentation.crop", "[240, 0]", "two numbers, height and width, each between 1 and 16384"),
        ("augmentation.crop", "[-240, 320]", "two numbers, height and width, each between 1 and 16384"),
        ("augmentation.crop", "[240]", "two numbers, height and width, each between 1 and 16384"),
        ("augmentation.crop", "[1, 2, 3]", "two numbers, height and width, each between 1 and 16384"),
        ("augmentation.scale", "[0, 2]", "two numbers, least and most, each above 0 and at most 64"),
        ("augmentation.scale", "[50, 200]", "two numbers, least and most, each above 0 and at most 64"),
        ("augmentation.scale", "[2, 1]", "ascending"),
        ("model.atrousRates", "[]", "a list that is not empty, each item between 1 and 1024"),
        ("model.atrousRates", "[6, -1]", "a list that is not empty, each item between 1 and 1024"),
        ("evaluate.scales", "[]", "a list that is not empty, each item above 0 and at most 8"),
    ])
    func listsOutOfRange(key: String, value: String, rule: String) {
        #expect(
            recipeMessage(minimal, "\(key)=\(value)") == "--set \(key)=\(value): '\(key)' must be \(rule), not \(value)"
        )
    }

    @Test(arguments: [
        ("augmentation.flip", "1.5", "between 0 and 1"), ("augmentation.flip", "-0.1", "between 0 and 1"),
        ("augmentation.hue", "0.6", "between 0 and 0.5"), ("augmentation.brightness", "2", "between 0 and 1"),
        ("model.outputStride", "32", "8 or 16"), ("model.dropout", "1", "at least 0 and below 1"),
        ("model.embedding", "0", "between 1 and 65536"),
        ("contrast.lambda", "-1", "at least 0"), ("contrast.temperature", "0", "above 0"),
        ("contrast.anchors", "0", "between 1 and 65536"), ("contrast.hardAnchors", "-1", "at least 0"),
        ("contrast.pixelQueue", "0", "at least 1"), ("contrast.regionCap", "0", "at least 1"),
        ("contrast.lag", "0", "at least 1"), ("contrast.pixelsPerImage", "0", "between 1 and 65536"),
        ("sampler.positives", "0", "at least 1"), ("sampler.negatives", "0", "at least 1"),
        ("sampler.pool", "0", "above 0 and at most 1"), ("sampler.pool", "1.01", "above 0 and at most 1"),
        ("sampler.candidates", "0", "at least 1"), ("synthesis.pairs", "-1", "between 0 and 1048576"),
        ("synthesis.hardest", "0", "at least 1"),
        ("schedule.iterations", "0", "at least 1"),
        ("schedule.batch", "1", "between 2 and 65536 (batch normalisation cannot learn from one image)"),
        ("schedule.lr", "0", "above 0"), ("schedule.lr", "-0.1", "above 0"),
        ("schedule.momentum", "1", "at least 0 and below 1"), ("schedule.weightDecay", "-1", "at least 0"),
        ("schedule.power", "-1", "at least 0"), ("schedule.warmup", "-1", "at least 0"),
        ("schedule.lrWarmup", "-1", "at least 0"), ("schedule.lrWarmupRatio", "2", "between 0 and 1"),
        ("schedule.normWeightDecay", "-1", "at least 0"), ("schedule.clipNorm", "0", "above 0"),
        ("schedule.backboneLrFactor", "-1", "at least 0"), ("schedule.headLrFactor", "-1", "at least 0"),
        ("schedule.minLr", "-1", "at least 0"),
        ("checkpoints.every", "0", "at least 1"), ("checkpoints.keep", "0", "at least 1"),
    ])
    func numbersOutOfRange(key: String, value: String, rule: String) {
        let section = key.split(separator: ".")
        let yaml = "\n\(section[0]):\n  \(section[1]): \(value)\n"
        #expect(recipeMessage(yaml) == "r.yaml:3: '\(key)' must be \(rule), not '\(value)'")
    }

    @Test func keysThatDependOnEachOther() {
        #expect(
            recipeMessage("seed: 1\n")
                == "r.yaml: 'dataset.root' is missing: it names the folder that holds the dataset")
        #expect(
            recipeMessage("seed: 1\ndataset:\n  root: \"\"\n")
                == "r.yaml:3: 'dataset.root' is missing: it names the folder that holds the dataset")
        #expect(
            recipeMessage(minimal, "dataset.kind=folder")
                == "--set dataset.kind=folder: 'dataset.description' is missing: kind 'folder' needs the YAML that describes the dataset"
        )
        #expect(recipeMessage("dataset: {kind: folder, description: d.yaml}\n") == "")
        #expect(
            recipeMessage(minimal, "schedule.lr=0.01", "schedule.minLr=0.1")
                == "--set schedule.minLr=0.1: 'schedule.minLr' must be at most 'schedule.lr', which is 0.01, not 0.1")
        #expect(
            recipeMessage(minimal, "augmentation.crop=[16384, 16384]").hasSuffix(
                "'augmentation.crop' must have at most 67108864 pixels, not [16384, 16384]"))
        // The later of the two places is to blame.
        #expect(
            recipeMessage(minimal + "contrast:\n  hardAnchors: 20\n", "contrast.anchors=10")
                == "--set contrast.anchors=10: 'contrast.hardAnchors' must be at most 'contrast.anchors', which is 10, not 20"
        )
        #expect(
            recipeMessage(minimal + "contrast:\n  anchors: 10\n  hardAnchors: 20\n")
                == "r.yaml:4: 'contrast.hardAnchors' must be at most 'contrast.anchors', which is 10, not 20")
    }

    @Test func documentsThatAreNoRecipe() {
        #expect(recipeMessage("") == "r.yaml: empty; a mapping of keys to values was expected")
        #expect(recipeMessage("# only words\n") == "r.yaml: empty; a mapping of keys to values was expected")
        #expect(recipeMessage("- seed\n") == "r.yaml:1: a mapping of keys to values was expected, not [seed]")
        #expect(recipeMessage("seed\n") == "r.yaml:1: a mapping of keys to values was expected, not 'seed'")
        #expect(
            recipeMessage("seed: 1\nmodel: {}\nseed: 2\n")
                == "r.yaml:1: key 'seed' stands more than once in its mapping")
        #expect(recipeMessage("a: 1\n--- \nb: 2\n").hasPrefix("r.yaml:2: not YAML: "))
        #expect(recipeMessage("seed: 1\nmodel: [\n").hasPrefix("r.yaml:3: not YAML: "))
        #expect(recipeMessage("seed: *other\n") == "r.yaml:1: not YAML: found undefined alias")
        #expect(recipeMessage("a: " + String(repeating: "[", count: 100_000)).hasPrefix("r.yaml:1: not YAML: "))
        #expect(!recipeMessage("a: \u{1}\n").contains("\n"))
    }

    @Test func overridesThatAreNone() {
        #expect(recipeMessage(minimal, "seed") == "--set seed: KEY=VALUE was expected")
        #expect(recipeMessage(minimal, "=4") == "--set =4: KEY=VALUE was expected")
        #expect(recipeMessage(minimal, "") == "--set : KEY=VALUE was expected")
        #expect(recipeMessage(minimal, "a.b.c.d.e.f=4").hasPrefix("--set a.b.c.d.e.f=4: unknown key 'a'"))
        #expect(
            recipeMessage(minimal, "seed.x=4")
                == "--set seed.x=4: 'seed' must be an integer from 0 to 18446744073709551615, not a mapping")
        #expect(
            recipeMessage(minimal, "model.atrousRates=[6,")
                == "--set model.atrousRates=[6,: not YAML: while parsing a flow node did not find expected node content"
        )
        #expect(
            recipeMessage(minimal, "parts.model=x")
                == "--set parts.model=x: 'parts' stands in recipe files only; set single keys here, or take another part: model=NAME"
        )
    }

    @Test func filesThatCannotBeRead() throws {
        #expect(
            message { try Recipe.resolve(path: "/nowhere/r.yaml") }
                == "cannot read /nowhere/r.yaml: No such file or directory")
        try withFiles(["r.yaml/x": ""]) { folder in
            #expect(
                message { try Recipe.resolve(path: folder + "/r.yaml") }
                    == "cannot read \(folder)/r.yaml: Is a directory")
        }
        try withFiles(["big.yaml": String(repeating: "# nothing\n", count: 200_000)]) { folder in
            #expect(
                message { try Recipe.resolve(path: folder + "/big.yaml") }
                    == "\(folder)/big.yaml: larger than 1 MiB, so not a configuration")
        }
    }
}
