import CZeroMQ

/// How a process that receives large messages keeps its memory.
public enum MessageMemory {
    /// Lets the C library keep freed memory, 128 MiB at most beyond what is in use, for the next message.
    ///
    /// Every received frame is allocated by libzmq and freed by whoever reads it last. By itself the C library gives a
    /// freed megabyte back to the kernel and takes it again for the next frame, page by page: a fifth of what a
    /// 1.5 MB result costs. Called by every `PoolConsumer`; only the first call does something.
    public static func keepFreedPages() { _ = kept }

    /// Has frames of 256 KiB and more given back to the kernel as soon as they are freed: for a process whose honest
    /// messages are few. By itself the C library begins to keep such blocks once it has freed one, and what a flood of
    /// large frames piled up for a moment would stay for good.
    public static func giveBackLargeFrames() { _ = givenBack }

    private static let givenBack: Void = { mallopt(M_MMAP_THRESHOLD, 256 << 10) }()

    private static let kept: Void = {
        // -1 and -3 in <malloc.h>. Blocks below the second come from memory that can be kept.
        mallopt(M_TRIM_THRESHOLD, 128 << 20)
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
    }()
}
