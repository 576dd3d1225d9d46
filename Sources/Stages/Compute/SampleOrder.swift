import Basics

/// Which image each position of a run's global sample order shows: one random permutation of the split per epoch,
/// concatenated. Batches cross the edges of epochs, so no image is left out and none comes twice in an epoch.
///
/// The order is a function of the position: nothing has to be remembered to go on from any of them.
struct SampleOrder {
    let seed: UInt64
    /// Images in the split.
    let images: Int
    private var cached: (pass: UInt64, order: [Int])?

    init(seed: UInt64, images: Int) {
        precondition(images > 0, "an order needs at least one image")
        self.seed = seed
        self.images = images
    }

    /// The image at a position from 0.
    mutating func image(at position: UInt64) -> Int {
        let (pass, place) = position.quotientAndRemainder(dividingBy: UInt64(images))
        if cached?.pass != pass {
            var random = KeyedRandom(seed: seed, purpose: "order", step: pass)
            cached = (pass, random.permutation(images))
        }
        return cached!.order[Int(place)]
    }
}
