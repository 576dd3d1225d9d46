import Basics

extension Image {
    /// The image with at most `side` pixels along its longer side; a smaller one as it is.
    ///
    /// Whole blocks of pixels are averaged before the rest is interpolated: fine structure blurs instead of flickering.
    public func thumbnail(side: Int) -> Image {
        let size = thumbnailSize(width, height, side: side)
        let block = min(width / size.width, height / size.height)
        return (block > 1 ? averaged(over: block) : self).resized(width: size.width, height: size.height)
    }

    /// Means of blocks of `block` x `block` pixels; what is left over at the right and below is cut off.
    private func averaged(over block: Int) -> Image {
        let (columns, rows) = (width / block, height / block)
        let area = block * block
        return Image(width: columns, height: rows) { target in
            pixels.withUnsafeBytes { source in
                for row in 0..<rows {
                    for column in 0..<columns {
                        var sum = (0, 0, 0)
                        for y in row * block..<(row + 1) * block {
                            var at = (y * width + column * block) * 3
                            for _ in 0..<block {
                                sum.0 += Int(source[at])
                                sum.1 += Int(source[at + 1])
                                sum.2 += Int(source[at + 2])
                                at += 3
                            }
                        }
                        let at = (row * columns + column) * 3
                        target[at] = UInt8((sum.0 + area / 2) / area)
                        target[at + 1] = UInt8((sum.1 + area / 2) / area)
                        target[at + 2] = UInt8((sum.2 + area / 2) / area)
                    }
                }
            }
        }
    }

    /// Pictures of one size beside each other, from left to right.
    ///
    /// - Precondition: there is at least one, and all are as large as the first.
    public static func strip(_ images: [Image]) -> Image {
        let (width, height) = (images[0].width, images[0].height)
        precondition(images.allSatisfy { $0.width == width && $0.height == height }, "pictures of several sizes")
        let line = width * 3
        return Image(width: width * images.count, height: height) { target in
            for (place, image) in images.enumerated() {
                image.pixels.withUnsafeBytes { source in
                    for y in 0..<height {
                        let part = UnsafeMutableRawBufferPointer(
                            rebasing: target[(y * images.count + place) * line..<(y * images.count + place + 1) * line])
                        part.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[y * line..<(y + 1) * line]))
                    }
                }
            }
        }
    }

    /// Where a prediction is wrong: there red, elsewhere the image in grey; darker where no class is labelled.
    ///
    /// - Throws: `UserError` where the sizes differ.
    public func errors(of prediction: LabelMap, against label: LabelMap) throws -> Image {
        for map in [prediction, label] where map.width != width || map.height != height {
            throw UserError("a label map of \(map.width)x\(map.height) does not fit an image of \(width)x\(height)")
        }
        return Image(width: width, height: height) { target in
            pixels.withUnsafeBytes { source in
                prediction.values.withUnsafeBytes { p in
                    label.values.withUnsafeBytes { l in
                        for i in 0..<l.count {
                            let at = 3 * i
                            // Rec. 601's weights, in 256ths.
                            let grey =
                                (77 * Int(source[at]) + 150 * Int(source[at + 1]) + 29 * Int(source[at + 2])) >> 8
                            let color: (Int, Int, Int)
                            if l[i] == IgnoreLabel.value {
                                color = (grey / 4, grey / 4, grey / 4)
                            } else if l[i] == p[i] {
                                color = (64 + grey / 2, 64 + grey / 2, 64 + grey / 2)
                            } else {
                                color = (160 + grey / 3, grey / 5, grey / 6)
                            }
                            target[at] = UInt8(min(255, color.0))
                            target[at + 1] = UInt8(color.1)
                            target[at + 2] = UInt8(color.2)
                        }
                    }
                }
            }
        }
    }
}

extension LabelMap {
    /// The map at the size of its image's thumbnail.
    public func thumbnail(side: Int) -> LabelMap {
        let size = thumbnailSize(width, height, side: side)
        return resized(width: size.width, height: size.height)
    }
}

private func thumbnailSize(_ width: Int, _ height: Int, side: Int) -> (width: Int, height: Int) {
    let longer = max(width, height)
    guard longer > side else { return (width, height) }
    return (max(1, width * side / longer), max(1, height * side / longer))
}
