/// A header as text whose every value can be made wrong: the forge's raw material.
struct HeaderText {
    /// Raw JSON by key, in the order in which they are written.
    private var members: [(key: String, value: String)]

    init(type: String, run: String, sender: String, incarnation: String, epoch: UInt64, sequence: UInt64) {
        members = [
            ("epoch", "\(epoch)"), ("incarnation", "\"\(incarnation)\""), ("run", "\"\(run)\""),
            ("sender", "\"\(sender)\""), ("sequence", "\(sequence)"), ("tensors", "[]"), ("type", "\"\(type)\""),
            ("version", "1"),
        ]
    }

    var keys: [String] { members.map(\.key) }

    /// A value's raw JSON; nil removes the key.
    subscript(key: String) -> String? {
        get { members.first { $0.key == key }?.value }
        set {
            guard let place = members.firstIndex(where: { $0.key == key }) else {
                if let newValue { members.append((key, newValue)) }
                return
            }
            if let newValue { members[place].value = newValue } else { members.remove(at: place) }
        }
    }

    var bytes: [UInt8] {
        Array(("{" + members.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}").utf8)
    }
}
