import Testing

@testable import Configuration

@Suite struct RecipeSwapTests {
    private func recipe() throws -> Recipe {
        try Recipe.resolve(yaml: minimal + "\nsampler: {positives: 16}\n", path: "r.yaml")
    }

    @Test func miningSettingsChangeAndAllElseStays() throws {
        let before = try recipe()
        var expected = before
        expected.sampler.strategy = .hardest
        expected.synthesis.enabled = true
        expected.contrast.temperature = 0.07
        #expect(
            try before.swapping([
                "sampler.strategy=hardest", "synthesis.enabled=true", "contrast.temperature=0.07",
            ]) == expected)
        expected = before
        (expected.sampler.strategy, expected.sampler.candidates) = (.random, 50)
        #expect(try before.swapping(["sampler={strategy: random, candidates: 50}"]) == expected)
    }

    @Test(arguments: [
        (
            "schedule.lr=0.1",
            "--set schedule.lr=0.1: 'schedule.lr' cannot change while a run trains; a swap sets sampler.*, synthesis.* and contrast.temperature"
        ),
        ("sampler.strategy=hard", "--set sampler.strategy=hard: 'sampler.strategy' must be one of"),
        ("sampler.strat=random", "--set sampler.strat=random: unknown key 'sampler.strat'"),
        ("sampler.positives=0", "--set sampler.positives=0: 'sampler.positives' must be"),
        ("sampler", "--set sampler: KEY=VALUE was expected"),
        (
            "contrast={lag: 2}",
            "--set contrast={lag: 2}: a swap sets sampler.*, synthesis.* and contrast.temperature only"
        ),
    ])
    func whatASwapCannotSetIsRefused(text: String, expected: String) throws {
        let recipe = try recipe()
        let found = message { try recipe.swapping([text]) }
        #expect(found.hasPrefix(expected), "\(found)")
    }
}
