import Basics

/// What stands where in one synthetic street, in metres: drawn here, painted by `StreetPainter`.
///
/// A straight street between two rows of buildings, seen from a car: x to the right, y up from the ground, z ahead. The
/// camera looks along z from `eye` metres above the ground.
struct StreetScene {
    /// The classes in the order of their numbers.
    enum Class: UInt8, CaseIterable {
        case sky, building, road, pavement, tree, car, pole, person, sign, fence
    }

    enum Shape: CaseIterable { case tree, car, pole, person, sign }

    /// An upright thing that faces the camera.
    struct Thing {
        var shape: Shape
        var x: Float
        var z: Float
        var width: Float
        var height: Float
        var color: Tint
        var seed: UInt64
    }

    /// A piece of a street's side: a facade, a fence or a gap with trees behind.
    struct Lot {
        enum Kind { case facade, fence, hedge }
        var kind: Kind
        var from: Float
        var to: Float
        var height: Float
        var color: Tint
        /// Width of a window's bay or of a fence's slat.
        var period: Float
        var seed: UInt64
    }

    // Camera
    var eye: Float = 1.5
    /// Focal length in image widths.
    var focal: Float
    var horizon: Float  // fraction of the height
    var vanishing: Float  // fraction of the width

    // Street
    var roadCentre: Float
    var roadHalf: Float
    /// Distance of each side's buildings from the camera's axis.
    var wallLeft: Float
    var wallRight: Float
    var lotsLeft: [Lot]
    var lotsRight: [Lot]
    /// Far to near: later ones hide earlier ones.
    var things: [Thing]
    var roadColor: Tint
    var pavementColor: Tint
    var skyColor: Tint
    var treeColor: Tint

    // Light
    var exposure: Float
    var lightTint: Tint
    /// How much less light falls on the left and on the right side.
    var shadeLeft: Float
    var shadeRight: Float
    /// Distance at which the air takes most of a colour.
    var haze: Float
    /// Edge of the buildings' shadow on the ground.
    var shadowEdge: Float
    var shadowDepth: Float
    /// Part of the frame's height that the own car's bonnet hides; it is labelled as ignored.
    var bonnet: Float
    var noise: Noise

    init(seed: UInt64, index: UInt64) {
        var random = KeyedRandom(seed: seed, purpose: "synthesize street", index: index)
        noise = Noise(seed: random.next())
        focal = random.uniform(0.75, 1.15)
        horizon = random.uniform(0.38, 0.55)
        vanishing = random.uniform(0.32, 0.68)
        eye = random.uniform(1.3, 2.2)
        roadHalf = random.uniform(2.6, 5)
        roadCentre = random.uniform(-1.8, 1.8)
        wallLeft = roadHalf - roadCentre + random.uniform(1.2, 5)
        wallRight = roadHalf + roadCentre + random.uniform(1.2, 5)

        // Greys of road, pavement and many facades overlap on purpose: where a surface lies decides, not its colour.
        let grey = random.uniform(0.28, 0.56)
        roadColor = Self.grey(grey, &random)
        pavementColor = Self.grey(grey + random.uniform(-0.08, 0.14), &random)
        skyColor =
            random.uniform() < 0.5
            ? Self.grey(random.uniform(0.6, 0.9), &random)
            : Tint(0.42, 0.6, 0.85) * random.uniform(0.75, 1.1)
        treeColor = Tint(random.uniform(0.16, 0.4), random.uniform(0.26, 0.44), random.uniform(0.1, 0.24))
        exposure = random.uniform(0.55, 1.25)
        let warmth = random.uniform(-0.09, 0.12)
        lightTint = Tint(1 + warmth, 1, 1 - warmth)
        let contrast = random.uniform(0, 0.45)
        let sunFromLeft = random.uniform() < 0.5
        shadeLeft = sunFromLeft ? contrast : 0
        shadeRight = sunFromLeft ? 0 : contrast
        haze = random.uniform(45, 260)
        shadowEdge = random.uniform(-6, 6)
        shadowDepth = contrast
        bonnet = random.uniform() < 0.4 ? random.uniform(0.03, 0.08) : 0

        lotsLeft = Self.lots(&random)
        lotsRight = Self.lots(&random)
        things = []
        things = Self.things(self, &random)
    }

    private static func grey(_ level: Float, _ random: inout KeyedRandom) -> Tint {
        Tint(
            level + random.uniform(-0.03, 0.03), level + random.uniform(-0.02, 0.02),
            level + random.uniform(-0.03, 0.03))
    }

    /// Colours that facades, fences, cars, clothes and signs share.
    private static func paint(_ random: inout KeyedRandom) -> Tint {
        let paints = [
            Tint(0.55, 0.28, 0.22), Tint(0.62, 0.55, 0.42), Tint(0.48, 0.48, 0.48), Tint(0.72, 0.68, 0.6),
            Tint(0.3, 0.34, 0.42), Tint(0.36, 0.4, 0.28), Tint(0.2, 0.2, 0.22), Tint(0.75, 0.75, 0.78),
            Tint(0.25, 0.32, 0.5), Tint(0.6, 0.22, 0.2), Tint(0.42, 0.32, 0.24),
        ]
        return paints[random.below(paints.count)] * random.uniform(0.75, 1.2)
    }

    private static func lots(_ random: inout KeyedRandom) -> [Lot] {
        var lots: [Lot] = []
        var z: Float = -4
        while z < 150 {
            let draw = random.uniform()
            let kind: Lot.Kind = draw < 0.62 ? .facade : draw < 0.86 ? .fence : .hedge
            let length = kind == .facade ? random.uniform(6, 18) : random.uniform(4, 12)
            let height: Float
            switch kind {
            case .facade: height = random.uniform(3.5, 13)
            case .fence: height = random.uniform(1.1, 2.6)
            case .hedge: height = random.uniform(2.5, 7)
            }
            lots.append(
                Lot(
                    kind: kind, from: z, to: z + length, height: height, color: paint(&random),
                    period: kind == .facade ? random.uniform(1.6, 3.4) : random.uniform(0.25, 0.6), seed: random.next())
            )
            z += length
        }
        return lots
    }

    private static func things(_ scene: StreetScene, _ random: inout KeyedRandom) -> [Thing] {
        var things: [Thing] = []
        func side(_ random: inout KeyedRandom, _ inset: Float) -> Float {
            let left = -scene.wallLeft
            let right = scene.wallRight
            let edgeLeft = scene.roadCentre - scene.roadHalf
            let edgeRight = scene.roadCentre + scene.roadHalf
            return random.uniform() < 0.5
                ? random.uniform(left + inset, max(left + inset, edgeLeft - inset))
                : random.uniform(min(edgeRight + inset, right - inset), right - inset)
        }
        func add(_ shape: Shape, _ x: Float, _ z: Float, _ width: Float, _ height: Float, _ random: inout KeyedRandom) {
            things.append(
                Thing(
                    shape: shape, x: x, z: z, width: width, height: height, color: paint(&random), seed: random.next()))
        }
        for _ in 0..<random.below(6) {
            let height = random.uniform(3.5, 8)
            add(.tree, side(&random, 0.4), random.uniform(7, 50), height * random.uniform(0.45, 0.8), height, &random)
        }
        for _ in 0..<1 + random.below(5) {
            let lane = random.uniform()
            let reach = scene.roadHalf - 1
            let x = scene.roadCentre + (lane < 0.35 ? -reach : lane < 0.7 ? reach : random.uniform(-reach, reach))
            add(.car, x, random.uniform(5.5, 45), random.uniform(1.6, 2), random.uniform(1.3, 2.1), &random)
        }
        for _ in 0..<1 + random.below(5) {
            add(
                .pole, side(&random, 0.3), random.uniform(5, 40), random.uniform(0.12, 0.26), random.uniform(3, 8),
                &random)
        }
        for _ in 0..<random.below(4) {
            add(
                .sign, side(&random, 0.4), random.uniform(5, 26), random.uniform(0.6, 1.2), random.uniform(2.2, 3.4),
                &random)
        }
        for _ in 0..<random.below(6) {
            let onRoad = random.uniform() < 0.2
            let x = onRoad ? scene.roadCentre + random.uniform(-0.8, 0.8) * scene.roadHalf : side(&random, 0.3)
            add(.person, x, random.uniform(4.5, 28), random.uniform(0.45, 0.7), random.uniform(1.5, 1.95), &random)
        }
        // Far to near; equal distances keep their order of drawing.
        return things.enumerated().sorted { ($1.element.z, $0.offset) < ($0.element.z, $1.offset) }.map(\.element)
    }
}
