/// A block of host memory, aligned to a page, that devices can use without copying it.
///
/// A `HostBuffer` is written by the one who makes it and only read afterwards; that is what makes it `Sendable`.
/// Arrays are not used for large tables because a device that computes in host memory (the CPU device, PoCL,
/// integrated GPUs) must be able to hold on to the same bytes that the reader filled.
public final class HostBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    /// First element; aligned to ``HostMemory/alignment`` unless the buffer views foreign memory.
    public let baseAddress: UnsafeMutablePointer<Element>
    /// Number of elements.
    public let count: Int
    private let release: () -> Void

    /// Allocates `count` elements of undefined content. Traps when the system refuses.
    public convenience init(uninitializedCount count: Int) {
        let bytes = max(count * MemoryLayout<Element>.stride, 1)
        self.init(owning: HostMemory.allocate(byteCount: bytes), byteCount: bytes, count: count)
    }

    /// Allocates `count` elements of undefined content; nil when the system refuses.
    public convenience init?(uninitializedCountIfPossible count: Int) {
        let bytes = max(count * MemoryLayout<Element>.stride, 1)
        guard let raw = HostMemory.allocateIfPossible(byteCount: bytes) else { return nil }
        self.init(owning: raw, byteCount: bytes, count: count)
    }

    private init(owning raw: UnsafeMutableRawPointer, byteCount: Int, count: Int) {
        self.baseAddress = raw.bindMemory(to: Element.self, capacity: max(count, 1))
        self.count = count
        self.release = { HostMemory.deallocate(raw, byteCount: byteCount) }
    }

    /// Copies an array.
    public convenience init(_ elements: [Element]) {
        self.init(uninitializedCount: elements.count)
        elements.withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            baseAddress.update(from: start, count: source.count)
        }
    }

    /// Allocates `count` elements that all equal `value`.
    public convenience init(repeating value: Element, count: Int) {
        self.init(uninitializedCount: count)
        baseAddress.update(repeating: value, count: count)
    }

    /// Views memory owned by somebody else, a memory-mapped file for example; `release` ends the view.
    public init(viewing address: UnsafeMutablePointer<Element>, count: Int, release: @escaping () -> Void) {
        self.baseAddress = address
        self.count = count
        self.release = release
    }

    deinit { release() }

    /// The elements, for reading and, before the buffer is shared, for writing.
    public var elements: UnsafeMutableBufferPointer<Element> {
        UnsafeMutableBufferPointer(start: baseAddress, count: count)
    }

    /// The elements as an array (a copy).
    public var array: [Element] { Array(elements) }

    /// Size in bytes.
    public var byteCount: Int { count * MemoryLayout<Element>.stride }

    @inlinable public subscript(index: Int) -> Element {
        get { baseAddress[index] }
        set { baseAddress[index] = newValue }
    }
}
