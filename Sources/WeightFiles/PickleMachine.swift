import Basics

/// Reads the pickle of a file that `torch.save` wrote, and nothing else.
///
/// A pickle is a program for a stack machine that may call any Python function. This machine has the instructions that
/// dictionaries of tensors need, and a list of names (`PickleGlobal`) that it understands; it calls nothing. Whatever is
/// not on the list is refused by name.
/// Source of the instructions: Python's `pickletools`, protocols 2 to 5.
struct PickleMachine {
    private var input: PickleInput
    private var stack: [PickleValue] = []
    /// Heights of the stack at which a MARK stands.
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    private var heap = PickleHeap()
    /// Values that were put into containers: some instructions copy many at once.
    private var contained = 0

    /// 32 MiB: a state dictionary takes about 150 bytes per tensor, an optimiser's a few times that.
    static let longest = 32 << 20
    /// Values on the stack, in containers, and containers, each: 2 million bound the memory to some hundred MiB.
    static let mostValues = 2 << 20
    /// libtorch's own bound.
    static let mostDimensions = 64

    /// - Returns: what the pickle says, and the containers that it refers to.
    /// - Throws: `UserError` without the file's name, for all that no file of tensors has.
    static func run(_ bytes: SharedBytes) throws -> (value: PickleValue, heap: PickleHeap) {
        guard bytes.count <= longest else {
            throw UserError("its pickle takes \(bytes.count) bytes; up to \(longest) are read")
        }
        return try bytes.withUnsafeBytes { all in
            var machine = PickleMachine(input: PickleInput(all))
            let value = try machine.run()
            return (value, machine.heap)
        }
    }

    private mutating func run() throws -> PickleValue {
        guard try input.byte() == 0x80 else { throw UserError("its pickle does not begin with a protocol's number") }
        let version = try input.byte()
        guard (2...5).contains(version) else { throw UserError("its pickle has protocol \(version); 2 to 5 are read") }
        while true {
            let place = input.position
            let opcode = try input.byte()
            if opcode == UInt8(ascii: ".") { break }
            try execute(opcode, at: place)
            guard max(stack.count, heap.count, memo.count, contained) <= Self.mostValues else {
                throw UserError("its pickle holds more than \(Self.mostValues) values")
            }
        }
        guard stack.count == 1, marks.isEmpty else {
            throw UserError("its pickle ends with \(stack.count) values, not 1")
        }
        return stack[0]
    }

    private mutating func execute(_ opcode: UInt8, at place: Int) throws {
        switch opcode {
        // The frames of protocol 4 only say how much to read at once.
        case 0x95: try input.skip(8)

        case UInt8(ascii: "("): marks.append(stack.count)
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "1"): _ = try popToMark()
        case UInt8(ascii: "2"): stack.append(try top())

        case UInt8(ascii: "N"): stack.append(.none)
        case 0x88: stack.append(.bool(true))
        case 0x89: stack.append(.bool(false))
        case UInt8(ascii: "J"):
            stack.append(.int(Int(Int32(bitPattern: UInt32(truncatingIfNeeded: try input.unsigned(4))))))
        case UInt8(ascii: "K"): stack.append(.int(try input.count(1)))
        case UInt8(ascii: "M"): stack.append(.int(try input.count(2)))
        case 0x8a: stack.append(try input.long())
        case UInt8(ascii: "G"): stack.append(.float(Double(bitPattern: UInt64(bigEndian: try input.unsigned(8)))))
        case UInt8(ascii: "X"), UInt8(ascii: "T"): stack.append(.text(try input.text(input.count(4))))
        case 0x8c, UInt8(ascii: "U"): stack.append(.text(try input.text(input.count(1))))
        case 0x8d: stack.append(.text(try input.text(input.count(8))))
        case UInt8(ascii: "B"): try inertBytes(4)
        case UInt8(ascii: "C"): try inertBytes(1)
        case 0x8e, 0x96: try inertBytes(8)

        case UInt8(ascii: ")"): pushTuple([])
        case 0x85: pushTuple(try pop(1))
        case 0x86: pushTuple(try pop(2))
        case 0x87: pushTuple(try pop(3))
        case UInt8(ascii: "t"): pushTuple(try popToMark())
        case UInt8(ascii: "]"): pushList([])
        case UInt8(ascii: "l"): pushList(try popToMark())
        case UInt8(ascii: "a"): try append(pop(1))
        case UInt8(ascii: "e"): try append(popToMark())
        case UInt8(ascii: "}"): pushDictionary([])
        case UInt8(ascii: "d"): pushDictionary(try pairs(popToMark()))
        case UInt8(ascii: "s"): try set(pop(2))
        case UInt8(ascii: "u"): try set(popToMark())
        case 0x8f: stack.append(.inert)  // a set
        case 0x90: _ = try popToMark()  // its members
        case 0x91:
            _ = try popToMark()
            stack.append(.inert)

        case UInt8(ascii: "q"): memo[try input.count(1)] = try top()
        case UInt8(ascii: "r"): memo[try input.count(4)] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "h"): try remember(input.count(1))
        case UInt8(ascii: "j"): try remember(input.count(4))

        case UInt8(ascii: "c"): try pushGlobal(module: input.line(), name: input.line())
        case 0x93:
            guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
                throw UserError("its pickle names something by what is no text")
            }
            try pushGlobal(module: module, name: name)
        case UInt8(ascii: "Q"): try pushStorage()
        case UInt8(ascii: "R"):
            let arguments = try pop()
            try call(pop(), arguments)
        case 0x81:  // an object of a class, from a tuple of arguments
            let arguments = try pop()
            try call(pop(), arguments)
        case UInt8(ascii: "b"): try build()

        default:
            throw UserError(
                "its pickle has the instruction 0x\(String(opcode, radix: 16)) at byte \(place), "
                    + "which no dictionary of tensors needs; nothing of a file is executed here")
        }
    }

    // MARK: Stack and memo

    private func top() throws -> PickleValue {
        guard stack.count > marks.last ?? 0, let value = stack.last else { throw underflow }
        return value
    }

    private mutating func pop() throws -> PickleValue {
        let value = try top()
        stack.removeLast()
        return value
    }

    private mutating func pop(_ count: Int) throws -> [PickleValue] {
        guard stack.count - (marks.last ?? 0) >= count else { throw underflow }
        let values = Array(stack.suffix(count))
        stack.removeLast(count)
        return values
    }

    private mutating func popToMark() throws -> [PickleValue] {
        guard let mark = marks.popLast() else { throw underflow }
        let values = Array(stack[mark...])
        stack.removeSubrange(mark...)
        return values
    }

    private var underflow: UserError {
        UserError("its pickle takes more values than it has put, before its byte \(input.position)")
    }

    private mutating func remember(_ index: Int) throws {
        guard let value = memo[index] else { throw UserError("its pickle refers to a value \(index) that it has not") }
        stack.append(value)
    }

    // MARK: Containers

    private mutating func pushTuple(_ values: [PickleValue]) {
        heap.tuples.append(values)
        contained += values.count
        stack.append(.tuple(heap.tuples.count - 1))
    }

    private mutating func pushList(_ values: [PickleValue]) {
        heap.lists.append(values)
        contained += values.count
        stack.append(.list(heap.lists.count - 1))
    }

    private mutating func pushDictionary(_ pairs: [(key: PickleValue, value: PickleValue)]) {
        heap.dictionaries.append(pairs)
        contained += pairs.count
        stack.append(.dictionary(heap.dictionaries.count - 1))
    }

    private mutating func append(_ values: [PickleValue]) throws {
        contained += values.count
        switch try top() {
        case .list(let index): heap.lists[index] += values
        case .inert: break
        default: throw UserError("its pickle appends to what is no list")
        }
    }

    private mutating func set(_ values: [PickleValue]) throws {
        let pairs = try pairs(values)
        contained += pairs.count
        switch try top() {
        case .dictionary(let index): heap.dictionaries[index] += pairs
        case .inert: break
        default: throw UserError("its pickle sets members of what is no dictionary")
        }
    }

    private func pairs(_ values: [PickleValue]) throws -> [(key: PickleValue, value: PickleValue)] {
        guard values.count % 2 == 0 else { throw UserError("its pickle has a key without a value") }
        return stride(from: 0, to: values.count, by: 2).map { (values[$0], values[$0 + 1]) }
    }

    private mutating func inertBytes(_ width: Int) throws {
        try input.skip(input.count(width))
        stack.append(.inert)
    }

    // MARK: What has a name

    private mutating func pushGlobal(module: String, name: String) throws {
        guard let global = PickleGlobal(module: module, name: name) else {
            throw UserError(
                "it holds '\(module).\(name)', not tensors alone, and nothing of a file is executed here; "
                    + "in Python, save the tensors only: torch.save(model.state_dict(), FILE)")
        }
        stack.append(.global(global))
    }

    /// `('storage', class, key, device, elements)`, as torch names what stands outside the pickle.
    private mutating func pushStorage() throws {
        guard case .tuple(let index) = try pop() else { throw UserError("its pickle refers to a storage by no tuple") }
        let parts = heap.tuples[index]
        guard parts.count >= 5, parts[0] == .text("storage"), case .global(.storage(let type)) = parts[1],
            case .text(let key) = parts[2], case .int(let count) = parts[4], count >= 0
        else { throw UserError("its pickle describes a storage in a way that is not torch.save's") }
        heap.storages.append(PickledStorage(type: type, key: key, count: count))
        stack.append(.storage(heap.storages.count - 1))
    }

    private mutating func call(_ callee: PickleValue, _ arguments: PickleValue) throws {
        guard case .tuple(let index) = arguments, case .global(let global) = callee else {
            throw UserError("its pickle calls what is no function")
        }
        let arguments = heap.tuples[index]
        switch global {
        case .orderedDictionary: try pushDictionary(orderedPairs(arguments))
        case .rebuildTensor: try pushTensor(arguments)
        case .rebuildParameter:
            guard case .tensor? = arguments.first else { throw UserError("its pickle makes a parameter of no tensor") }
            stack.append(arguments[0])
        case .storage: throw UserError("its pickle makes a storage by itself")
        case .inert: stack.append(.inert)
        }
    }

    /// None, or one list of pairs, each a list or a tuple.
    private func orderedPairs(_ arguments: [PickleValue]) throws -> [(key: PickleValue, value: PickleValue)] {
        guard let first = arguments.first else { return [] }
        guard arguments.count == 1, case .list(let index) = first else {
            throw UserError("its pickle fills a dictionary with what is no list")
        }
        return try heap.lists[index].map { pair in
            let parts: [PickleValue]
            switch pair {
            case .tuple(let index): parts = heap.tuples[index]
            case .list(let index): parts = heap.lists[index]
            default: parts = []
            }
            guard parts.count == 2 else { throw UserError("its pickle fills a dictionary with what are no pairs") }
            return (parts[0], parts[1])
        }
    }

    private mutating func pushTensor(_ arguments: [PickleValue]) throws {
        guard arguments.count >= 4, case .storage(let storage) = arguments[0], case .int(let offset) = arguments[1],
            let shape = sizes(arguments[2]), let strides = sizes(arguments[3]), offset >= 0,
            shape.count == strides.count
        else { throw UserError("its pickle describes a tensor in a way that is not torch.save's") }
        contained += shape.count + strides.count
        heap.tensors.append(
            PickledTensor(storage: heap.storages[storage], offset: offset, shape: shape, strides: strides))
        stack.append(.tensor(heap.tensors.count - 1))
    }

    private func sizes(_ value: PickleValue) -> [Int]? {
        guard case .tuple(let index) = value, heap.tuples[index].count <= Self.mostDimensions else { return nil }
        var sizes: [Int] = []
        for case .int(let size) in heap.tuples[index] where size >= 0 { sizes.append(size) }
        return sizes.count == heap.tuples[index].count ? sizes : nil
    }

    /// Attributes of an object: a dictionary has none that matter (torch notes versions there), nor has what is inert.
    private mutating func build() throws {
        _ = try pop()
        switch try top() {
        case .dictionary, .inert: break
        default: throw UserError("its pickle sets attributes of what has none")
        }
    }
}
