import Basics
import CTorch

/// Runs `body` in mixed precision on this thread: convolutions and matrix products on the device cast their operands to
/// `dtype`, float32 parameters included; what else is computed follows its operands' types.
///
/// Meant for forward passes. A backward pass, which belongs outside, computes in the types of the forward one and brings
/// parameters' gradients back to the parameters' own type. A parameter is cast once within `body`; so no parameter may be
/// read both with and without recording in it, as the copy made without would be used for both.
///
/// - Parameter dtype: `.bfloat16` or `.float16`; nil switches casting off within `body`.
public func withAutocast<R>(_ dtype: DType?, on device: Device, _ body: () throws -> R) throws -> R {
    let type = device.code.type
    let before = ct_autocast(type)
    let wanted = dtype?.rawValue ?? -1
    guard wanted != before else { return try body() }
    try check(ct_set_autocast(type, wanted), "autocast", ["\(wanted)", "\(device)"])
    defer {
        // The copies stand for parameters' present values, which the optimiser is about to change.
        if before < 0 { ct_clear_autocast_cache() }
        _ = ct_set_autocast(type, before)
    }
    return try body()
}
