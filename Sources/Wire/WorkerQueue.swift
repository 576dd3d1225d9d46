/// Those who may get work, in order of how much they have: whoever has least is first, and among equals whoever came
/// to have that much first. Every change and every look takes the same time, however many there are.
///
/// Members are small numbers (places in a table). Per load there is a doubly linked line of them, kept in arrays.
struct WorkerQueue: Sendable {
    private struct Node {
        /// Negative where it stands in no line.
        var load = -1
        var previous = -1
        var next = -1
    }

    private struct Line {
        var head = -1
        var tail = -1
    }

    private var nodes: [Node] = []
    /// By load.
    private var lines: [Line] = []
    /// The least load with a line; meaningless while nobody stands in one.
    private var lowest = 0
    private(set) var count = 0

    /// Whoever has least; nil where nobody may get work.
    var first: Int? { count == 0 ? nil : lines[lowest].head }

    /// Says how much a member has; nil takes it out. One whose load is as before keeps its place in line.
    mutating func set(_ member: Int, load: Int?) {
        while nodes.count <= member { nodes.append(Node()) }
        let load = load ?? -1
        guard nodes[member].load != load else { return }
        if nodes[member].load >= 0 { unlink(member) }
        if load >= 0 { link(member, load) }
    }

    private mutating func link(_ member: Int, _ load: Int) {
        while lines.count <= load { lines.append(Line()) }
        let tail = lines[load].tail
        nodes[member] = Node(load: load, previous: tail, next: -1)
        if tail >= 0 { nodes[tail].next = member } else { lines[load].head = member }
        lines[load].tail = member
        lowest = count == 0 ? load : min(lowest, load)
        count += 1
    }

    private mutating func unlink(_ member: Int) {
        let node = nodes[member]
        if node.previous >= 0 { nodes[node.previous].next = node.next } else { lines[node.load].head = node.next }
        if node.next >= 0 { nodes[node.next].previous = node.previous } else { lines[node.load].tail = node.previous }
        nodes[member] = Node()
        count -= 1
        while count > 0, lines[lowest].head < 0 { lowest += 1 }
    }
}
