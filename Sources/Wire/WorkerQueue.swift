/// Those who may get work, by how much they have: whoever has least is first, and among equals the one with the
/// smallest number. So the order depends on nothing but who has how much, and under a light load the same few do the work,
/// whose connections and memory are warm. A change takes the same time however many there are; a look goes through a
/// bit per member.
struct WorkerQueue: Sendable {
    /// The members with one load, a bit each.
    private struct Line {
        var words: [UInt64] = []
        var count = 0
    }

    /// By member; negative where it stands in no line.
    private var loads: [Int] = []
    /// By load.
    private var lines: [Line] = []
    /// The least load with a member; meaningless while there is none.
    private var lowest = 0
    private(set) var count = 0

    /// Whoever has least; nil where nobody may get work.
    var first: Int? {
        guard count > 0 else { return nil }
        return lines[lowest].words.firstIndex { $0 != 0 }.map { $0 * 64 + lines[lowest].words[$0].trailingZeroBitCount }
    }

    /// Says how much a member has; nil takes it out.
    mutating func set(_ member: Int, load: Int?) {
        while loads.count <= member { loads.append(-1) }
        let load = load ?? -1
        guard loads[member] != load else { return }
        let (word, bit) = (member / 64, UInt64(1) << UInt64(member % 64))
        if loads[member] >= 0 {
            lines[loads[member]].words[word] &= ~bit
            lines[loads[member]].count -= 1
            count -= 1
        }
        loads[member] = load
        if load >= 0 {
            while lines.count <= load { lines.append(Line()) }
            while lines[load].words.count <= word { lines[load].words.append(0) }
            lines[load].words[word] |= bit
            lines[load].count += 1
            lowest = count == 0 ? load : min(lowest, load)
            count += 1
        }
        while count > 0, lines[lowest].count == 0 { lowest += 1 }
    }
}
