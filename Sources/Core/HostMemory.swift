#if canImport(Glibc)
    import Glibc
#endif

/// Allocation of host memory that devices may share.
public enum HostMemory {
    /// A page: enough for any vector load, and what OpenCL runtimes ask of memory that they map.
    public static let alignment = 4096

    /// Allocations from here up are mapped and unmapped one by one, so that freeing returns memory to the system, and ask
    /// for large pages.
    public static let mappingThreshold = 1 << 20

    /// Allocates `byteCount` bytes; the content is undefined. Traps when the system refuses, as `malloc` users do;
    /// learners predict their needs first (`TrainingPlan`).
    public static func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        guard let address = allocateIfPossible(byteCount: byteCount) else {
            preconditionFailure("the system refused \(byteCount) bytes of memory")
        }
        return address
    }

    /// Allocates `byteCount` bytes; the content is undefined. `nil` when the system refuses.
    public static func allocateIfPossible(byteCount: Int) -> UnsafeMutableRawPointer? {
        if byteCount >= mappingThreshold {
            let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            guard let address, address != MAP_FAILED else { return nil }
            // Large pages spare the random gathers of factor rows most of their TLB misses.
            _ = madvise(address, byteCount, MADV_HUGEPAGE)
            return address
        }
        return UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: alignment)
    }

    /// How many bytes the system would still give in one piece, for the message after it has refused more: found by halving,
    /// so that up to twice as many may be.
    public static func possibleBytes(below byteCount: Int) -> Int {
        var tried = byteCount / 2
        while tried >= mappingThreshold {
            if let address = allocateIfPossible(byteCount: tried) {
                deallocate(address, byteCount: tried)
                return tried
            }
            tried /= 2
        }
        return 0
    }

    /// Frees what ``allocate(byteCount:)`` gave, with the same size.
    public static func deallocate(_ address: UnsafeMutableRawPointer, byteCount: Int) {
        if byteCount >= mappingThreshold {
            munmap(address, byteCount)
        } else {
            address.deallocate()
        }
    }
}
