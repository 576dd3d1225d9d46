extension BinaryInteger {
    /// The number, which is not negative, with zeros before it up to a width: `000500`. A longer one stays whole.
    ///
    /// - Parameter radix: 16 for hexadecimal digits, in small letters.
    public func digits(_ width: Int, radix: Int = 10) -> String {
        let digits = String(self, radix: radix)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
