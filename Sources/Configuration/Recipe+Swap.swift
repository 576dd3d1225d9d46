import Basics

/// What can be changed while a run trains: the settings that mining tickets carry.
extension Recipe {
    /// Keys that `picoflow swap --set` takes.
    public static let swappableKeys = keys.map(\.path).filter {
        $0.hasPrefix("sampler.") || $0.hasPrefix("synthesis.") || $0 == "contrast.temperature"
    }

    /// This recipe with `KEY=VALUE` overrides of swappable keys, in their order.
    ///
    /// - Throws: `UserError` for a key that cannot be swapped, and all that `resolve` throws for a bad value.
    public func swapping(_ overrides: [String]) throws -> Recipe {
        for text in overrides {
            let key = String(text.prefix { $0 != "=" })
            guard !Recipe.swappableKeys.contains(key), Recipe.keys.contains(where: { $0.path == key }) else { continue }
            throw UserError(
                "--set \(text): '\(key)' cannot change while a run trains; a swap sets sampler.*, synthesis.* and contrast.temperature"
            )
        }
        let changed = try Recipe.resolve(yaml: yaml(), path: "the run's recipe", overrides: overrides)
        // A whole section may have been set at once.
        var same = changed
        same.sampler = sampler
        same.synthesis = synthesis
        same.contrast.temperature = contrast.temperature
        guard same == self else {
            throw UserError(
                "--set \(overrides.joined(separator: " --set ")): a swap sets sampler.*, synthesis.* and contrast.temperature only"
            )
        }
        return changed
    }
}
