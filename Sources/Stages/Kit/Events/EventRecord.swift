import Basics

/// One record of a TensorBoard event file: an `Event` message of `tensorflow/core/util/event.proto`.
enum EventRecord {
    /// The first of every file.
    case version
    /// Begins after `step`: TensorBoard drops all that earlier files of the folder say of later steps.
    case start(after: UInt64)
    /// Numbers of one step, by tag.
    case scalars([(tag: String, value: Double)], step: UInt64)
    /// Markdown under a tag.
    case text(tag: String, String, step: UInt64)
    /// A PNG's or JPEG's bytes under a tag.
    case image(tag: String, [UInt8], width: Int, height: Int, step: UInt64)
    /// A message of its own for one of TensorBoard's plugins, under the tag that the plugin looks for.
    case plugin(String, tag: String, content: [UInt8])

    /// - Parameter wallTime: seconds since 1970.
    func encoded(wallTime: Double) -> [UInt8] {
        var event = ProtobufWriter()
        event.double(1, wallTime)
        switch self {
        case .version: event.string(3, "brain.Event:2")
        case .start(let step):
            event.integer(2, step + 1)
            // A SessionLog of status START.
            event.message(7) { $0.integer(1, 1) }
        case .scalars(let scalars, let step):
            event.integer(2, step)
            event.message(5) { summary in
                for (tag, value) in scalars {
                    summary.message(1) {
                        $0.string(1, tag)
                        $0.float(2, Float(value))
                    }
                }
            }
        case .text(let tag, let text, let step):
            event.integer(2, step)
            event.message(5) { summary in
                summary.message(1) { value in
                    value.string(1, tag)
                    // A tensor of one string (DT_STRING), which the metadata gives to the text plugin.
                    value.message(8) { tensor in
                        tensor.integer(1, 7)
                        tensor.message(2) { $0.message(2) { $0.integer(1, 1) } }
                        tensor.string(8, text)
                    }
                    value.message(9) { $0.message(1) { $0.string(1, "text") } }
                }
            }
        case .image(let tag, let bytes, let width, let height, let step):
            event.integer(2, step)
            event.message(5) { summary in
                summary.message(1) { value in
                    value.string(1, tag)
                    value.message(4) { image in
                        image.integer(1, UInt64(height))
                        image.integer(2, UInt64(width))
                        image.integer(3, 3)  // RGB
                        image.data(4, bytes)
                    }
                }
            }
        case .plugin(let name, let tag, let content):
            event.message(5) { summary in
                summary.message(1) { value in
                    value.string(1, tag)
                    // An empty tensor (DT_FLOAT, one side of 0): the message is in the metadata.
                    value.message(8) { tensor in
                        tensor.integer(1, 1)
                        tensor.message(2) { $0.message(2) { _ in } }
                    }
                    value.message(9) { metadata in
                        metadata.message(1) { plugin in
                            plugin.string(1, name)
                            plugin.data(2, content)
                        }
                    }
                }
            }
        }
        return event.bytes
    }

    /// The record as it stands in the file: length, its checksum, the message, its checksum.
    func framed(wallTime: Double) -> [UInt8] {
        let message = encoded(wallTime: wallTime)
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        let length = bytes(UInt64(message.count))
        return length + bytes(CRC32C.masked(length)) + message + bytes(CRC32C.masked(message))
    }
}
