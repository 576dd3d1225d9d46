import Imaging

/// Paints a `StreetScene`: one ray per pixel for street, sides and sky, then the upright things from far to near.
///
/// The image is painted at twice its size and averaged, labels come from one of the four: borders mix colours as a lens
/// does. Only `+ - * /` and `sqrt` are used, which IEEE 754 defines to the last bit.
struct StreetPainter {
    private struct Surface {
        var label: StreetScene.Class
        var color: Tint
        var distance: Float
    }

    let scene: StreetScene
    let width: Int
    let height: Int

    func paint() -> (image: Image, label: LabelMap) {
        let fineWidth = width * 2
        let fineHeight = height * 2
        var colors = [Tint](repeating: .zero, count: fineWidth * fineHeight)
        var labels = [UInt8](repeating: 0, count: fineWidth * fineHeight)
        paintStreet(&colors, &labels, fineWidth, fineHeight)
        for thing in scene.things { paint(thing, &colors, &labels, fineWidth, fineHeight) }
        paintBonnet(&colors, &labels, fineWidth, fineHeight)
        return reduce(colors, labels)
    }

    // MARK: Street, sides, sky

    private func paintStreet(_ colors: inout [Tint], _ labels: inout [UInt8], _ w: Int, _ h: Int) {
        let focal = scene.focal * Float(w)
        for row in 0..<h {
            let up = (scene.horizon * Float(h) - Float(row) - 0.5) / focal
            for column in 0..<w {
                let right = (Float(column) + 0.5 - scene.vanishing * Float(w)) / focal
                let surface = surface(right, up)
                colors[row * w + column] = seen(surface.color, at: surface.distance)
                labels[row * w + column] = surface.label.rawValue
            }
        }
    }

    /// What a ray of slope `right`, `up` per metre ahead meets first.
    private func surface(_ right: Float, _ up: Float) -> Surface {
        let ground = up < 0 ? -scene.eye / up : .infinity
        let toLeft = right < 0
        let wall = right == 0 ? Float.infinity : (toLeft ? scene.wallLeft : scene.wallRight) / (toLeft ? -right : right)
        if ground <= wall, ground < 400 { return street(x: right * ground, z: ground) }
        if let side = side(toLeft, z: wall, y: scene.eye + up * wall) { return side }
        return sky(right, up)
    }

    private func street(x: Float, z: Float) -> Surface {
        let noise = scene.noise
        let across = x - scene.roadCentre
        let fromEdge = (across < 0 ? -across : across) - scene.roadHalf
        var color: Tint
        let label: StreetScene.Class
        if fromEdge < 0 {
            label = .road
            color = scene.roadColor * (0.82 + 0.3 * noise.cloudy(x * 1.3, z * 0.4) + 0.1 * noise.smooth(x * 19, z * 9))
            // A dashed line in the middle and wet or patched spots that look like pavement.
            let dash = (z * 0.25).rounded(.down) * 4
            if across > -0.09, across < 0.09, z - dash < 2.2 { color = Tint(0.8, 0.8, 0.76) }
            if noise.smooth(x * 0.35 + 90, z * 0.12) > 0.72 { color = color * 0.4 + scene.pavementColor * 0.6 }
        } else {
            label = .pavement
            color =
                scene.pavementColor
                * (0.86 + 0.26 * noise.cloudy(x * 1.7 + 31, z * 0.6) + 0.08 * noise.smooth(x * 17, z * 8))
            let jointX = x * 1.4 - (x * 1.4).rounded(.down)
            let jointZ = z * 0.7 - (z * 0.7).rounded(.down)
            if z < 25, jointX < 0.06 || jointZ < 0.05 { color *= 0.82 }
            if fromEdge < 0.16 { color *= 1.18 }  // kerb
        }
        if x + 0.25 * z * (scene.shadeLeft > 0 ? -0.2 : 0.2) < scene.shadowEdge { color *= 1 - scene.shadowDepth }
        for thing in scene.things where thing.shape == .car {
            let dx = (x - thing.x) / (thing.width * 0.62)
            let dz = (z - thing.z - 1.6) / 2.3
            if dx * dx + dz * dz < 1 { color *= 0.5 }
        }
        return Surface(label: label, color: color, distance: z)
    }

    private func side(_ left: Bool, z: Float, y: Float) -> Surface? {
        guard z < 150 else {
            return z < 400 && y < 5 ? Surface(label: .building, color: Tint(0.5, 0.5, 0.52), distance: z) : nil
        }
        guard let lot = (left ? scene.lotsLeft : scene.lotsRight).first(where: { z >= $0.from && z < $0.to }) else {
            return nil
        }
        let noise = Noise(seed: lot.seed)
        let shade = 1 - (left ? scene.shadeLeft : scene.shadeRight)
        switch lot.kind {
        case .facade:
            guard y < lot.height else { return behind(left, z: z, y: y, lot) }
            return Surface(label: .building, color: facade(lot, noise, z: z, y: y) * shade, distance: z)
        case .fence:
            guard y < lot.height else { return behind(left, z: z, y: y, lot) }
            let slat = z / lot.period - (z / lot.period).rounded(.down)
            var color = lot.color * (0.85 + 0.3 * noise.smooth(z * 2, y * 3))
            if slat < 0.22 || (y > lot.height * 0.8 && y < lot.height * 0.88) { color *= 0.6 }
            return Surface(label: .fence, color: color * shade, distance: z)
        case .hedge:
            let top = lot.height * (0.55 + 0.6 * noise.cloudy(z * 0.6, 3))
            guard y < top else { return behind(left, z: z, y: y, lot) }
            return Surface(label: .tree, color: leaves(noise, z * 1.6, y * 1.6) * shade, distance: z)
        }
    }

    private func facade(_ lot: StreetScene.Lot, _ noise: Noise, z: Float, y: Float) -> Tint {
        var color = lot.color * (0.84 + 0.26 * noise.cloudy(z * 0.7, y * 0.7) + 0.12 * noise.smooth(z * 6, y * 14))
        let bay = z / lot.period
        let storey = y / 2.9
        let u = bay - bay.rounded(.down)
        let v = storey - storey.rounded(.down)
        if u > 0.28, u < 0.74, v > 0.32, v < 0.8 {
            let lit = noise.at(Int(bay.rounded(.down)), Int(storey.rounded(.down)))
            color = lit > 0.6 ? scene.skyColor * 0.7 : Tint(0.14, 0.16, 0.2) + lot.color * 0.25
        } else if y < 0.5 {
            color *= 0.75
        }
        // Some ground floors are boarded with slats just like a fence's.
        if y < 2.2, noise.at(7, 7) > 0.65, z / 0.4 - (z / 0.4).rounded(.down) < 0.25 { color *= 0.62 }
        return color
    }

    /// What shows above a lot: crowns of trees in some places, otherwise the sky.
    private func behind(_ left: Bool, z: Float, y: Float, _ lot: StreetScene.Lot) -> Surface? {
        guard lot.kind != .facade else { return nil }
        let noise = Noise(seed: lot.seed ^ 0x5eed)
        guard noise.at(1, 1) > 0.35, y < 3 + 5 * noise.cloudy(z * 0.35, 1) else { return nil }
        return Surface(label: .tree, color: leaves(noise, z, y) * 0.85, distance: z + 8)
    }

    private func sky(_ right: Float, _ up: Float) -> Surface {
        let clouds = scene.noise.cloudy(right * 3.2 + 50, up * 7 + 50)
        let cloud = max(0, min(1, (clouds - 0.42) * 3))
        let height = max(0, min(1, up * 2))
        let color = scene.skyColor * (1.12 - 0.22 * height)
        return Surface(label: .sky, color: color + (Tint(0.86, 0.86, 0.88) - color) * cloud * 0.7, distance: 0)
    }

    private func leaves(_ noise: Noise, _ x: Float, _ y: Float) -> Tint {
        scene.treeColor * (0.45 + 0.8 * noise.cloudy(x * 1.2, y * 1.2) + 0.35 * noise.smooth(x * 6, y * 6))
    }

    // MARK: Things

    private func paint(
        _ thing: StreetScene.Thing, _ colors: inout [Tint], _ labels: inout [UInt8], _ w: Int, _ h: Int
    ) {
        let focal = scene.focal * Float(w)
        let pixelsPerMetre = focal / thing.z
        let centre = scene.vanishing * Float(w) + thing.x * pixelsPerMetre
        let foot = scene.horizon * Float(h) + scene.eye * pixelsPerMetre
        let half = thing.width * 0.5 * pixelsPerMetre
        let rows = Self.span(foot - thing.height * pixelsPerMetre, foot, h)
        let columns = Self.span(centre - half, centre + half, w)
        let noise = Noise(seed: thing.seed)
        let shade = 1 - 0.6 * (thing.x < 0 ? scene.shadeLeft : scene.shadeRight)
        for row in rows {
            let v = (foot - Float(row) - 0.5) / (thing.height * pixelsPerMetre)  // 0 at the foot, 1 at the top
            for column in columns {
                let u = (Float(column) + 0.5 - centre) / half  // -1 ... 1
                guard let (label, color) = texel(thing, noise, u, v) else { continue }
                colors[row * w + column] = seen(color * shade, at: thing.z)
                labels[row * w + column] = label.rawValue
            }
        }
    }

    /// Label and colour of a thing at `u` (-1 to 1 across) and `v` (0 to 1 up), nil beside its outline.
    private func texel(
        _ thing: StreetScene.Thing, _ noise: Noise, _ u: Float, _ v: Float
    ) -> (StreetScene.Class, Tint)? {
        let side = u < 0 ? -u : u
        let grain = 0.88 + 0.24 * noise.smooth(u * 9, v * 15)
        switch thing.shape {
        case .pole:
            let arm = v > 0.95 && thing.height > 5  // a lamp's arm is as wide as the thing, the post is thin
            return side < 1 || arm ? (.pole, Tint(0.38, 0.38, 0.36) * (1.1 - 0.4 * side) * grain) : nil
        case .sign:
            if v > 0.72 {
                let y = (v - 0.86) / 0.14
                let round = noise.at(1, 2) > 0.5
                guard !round || u * u + y * y < 1 else { return nil }
                let rim = round ? u * u + y * y > 0.6 : side > 0.82 || y > 0.75 || y < -0.75
                return (.sign, rim ? Tint(0.85, 0.85, 0.85) : thing.color * grain)
            }
            return side < 0.1 ? (.pole, Tint(0.4, 0.4, 0.4) * grain) : nil
        case .tree:
            let trunk: Float = 0.38
            let y = (v - 0.64) / 0.36
            let edge = 0.62 + 0.55 * noise.cloudy(u * 2.5 + 9, v * 5)
            if u * u + y * y < edge { return (.tree, leaves(noise, u * 2.4, v * 4.5)) }
            return v < trunk && side < 0.09 ? (.tree, Tint(0.3, 0.24, 0.18) * grain) : nil
        case .person:
            let y = (v - 0.92) / 0.08
            if v > 0.84 { return side * side * 12 + y * y < 1 ? (.person, Tint(0.66, 0.5, 0.42) * grain) : nil }
            if v > 0.46 { return side < 0.95 - 0.5 * (v - 0.46) ? (.person, thing.color * grain) : nil }
            let stride = 0.25 + 0.5 * noise.at(3, 3) * (0.46 - v)
            return side < 0.7 && side > stride * (0.46 - v) ? (.person, Tint(0.2, 0.2, 0.26) * grain) : nil
        case .car:
            return car(thing, noise, side, v).map { (.car, $0 * grain) }
        }
    }

    /// A car from behind: wheels, body, cabin with a window, lights.
    private func car(_ thing: StreetScene.Thing, _ noise: Noise, _ side: Float, _ v: Float) -> Tint? {
        if v < 0.16 { return side > 0.62 && side < 0.95 ? Tint(0.08, 0.08, 0.08) : nil }
        if v < 0.56 {
            if side > 0.72, v > 0.4 { return Tint(0.6, 0.14, 0.12) }
            if v < 0.26 { return thing.color * 0.55 }
            return side < 0.3 && v < 0.38 ? Tint(0.75, 0.75, 0.65) : thing.color
        }
        let half = 0.94 - 0.5 * (v - 0.56)
        guard side < half else { return nil }
        let window = v > 0.6 && v < 0.9 && side < half - 0.1
        return window ? Tint(0.12, 0.14, 0.17) + scene.skyColor * 0.3 * (v - 0.5) : thing.color * 1.08
    }

    private func paintBonnet(_ colors: inout [Tint], _ labels: inout [UInt8], _ w: Int, _ h: Int) {
        guard scene.bonnet > 0 else { return }
        for column in 0..<w {
            let u = (Float(column) + 0.5) / Float(w) * 2 - 1
            let top = Float(h) * (1 - scene.bonnet * (1 - 0.6 * u * u))
            for row in max(0, Int(top.rounded()))..<h {
                colors[row * w + column] = Tint(0.12, 0.13, 0.15) * scene.exposure
                labels[row * w + column] = IgnoreLabel.value
            }
        }
    }

    // MARK: Light

    /// A surface's colour as the camera sees it: light, then haze.
    private func seen(_ color: Tint, at distance: Float) -> Tint {
        let lit = color * scene.lightTint * scene.exposure
        let air = distance / (distance + scene.haze)
        return lit + (scene.skyColor * scene.exposure - lit) * air * 0.8
    }

    private func reduce(_ colors: [Tint], _ labels: [UInt8]) -> (image: Image, label: LabelMap) {
        let w = width * 2
        let image = Image(width: width, height: height) { target in
            for y in 0..<height {
                for x in 0..<width {
                    let at = 2 * y * w + 2 * x
                    let sum = colors[at] + colors[at + 1] + colors[at + w] + colors[at + w + 1]
                    // Sensor noise, stronger where there is little light.
                    let grain = (scene.noise.at(x + 100_000, y) + scene.noise.at(x, y + 100_000) - 1) * 14
                    for c in 0..<3 {
                        let value = (sum[c] * 0.25 * 255 + grain).rounded()
                        target[(y * width + x) * 3 + c] = UInt8(min(max(value, 0), 255))
                    }
                }
            }
        }
        let label = LabelMap(width: width, height: height) { target in
            for y in 0..<height {
                for x in 0..<width { target[y * width + x] = labels[2 * y * w + 2 * x] }
            }
        }
        return (image, label)
    }

    /// The whole pixels between two coordinates, within 0 ..< limit.
    private static func span(_ from: Float, _ to: Float, _ limit: Int) -> Range<Int> {
        let low = Int(min(max(from.rounded(.down), 0), Float(limit)))
        let high = Int(min(max(to.rounded(.up), 0), Float(limit)))
        return low..<max(low, high)
    }
}
