import Compute
import Core
import Synchronization

/// Host memory that counts against the CPU device's limit, or a view of somebody's ``HostBuffer``.
final class CPUStorage: DeviceStorage, @unchecked Sendable {
    let byteCount: Int
    let deviceName: String
    let address: UnsafeMutableRawPointer
    private let release: () -> Void

    /// Owns `byteCount` bytes that `memory` has granted; nil when the system refuses them.
    init?(byteCount: Int, deviceName: String, memory: CPUMemory) {
        guard let address = HostMemory.allocateIfPossible(byteCount: byteCount) else {
            memory.giveBack(byteCount)
            return nil
        }
        self.byteCount = byteCount
        self.deviceName = deviceName
        self.address = address
        release = {
            HostMemory.deallocate(address, byteCount: byteCount)
            memory.giveBack(byteCount)
        }
    }

    /// Views a host buffer and keeps it alive.
    init<Element>(viewing buffer: HostBuffer<Element>, deviceName: String) {
        byteCount = buffer.byteCount
        self.deviceName = deviceName
        address = UnsafeMutableRawPointer(buffer.baseAddress)
        release = { withExtendedLifetime(buffer) {} }
    }

    deinit { release() }
}

/// Accounts for the memory that the device has handed out.
final class CPUMemory: Sendable {
    private let allocated = Mutex<Int>(0)
    let limitBytes: Int

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    var allocatedBytes: Int { allocated.withLock { $0 } }

    /// Grants `byteCount` bytes, or tells how many are left.
    func take(_ byteCount: Int) -> (granted: Bool, available: Int) {
        allocated.withLock { allocated in
            let available = limitBytes - allocated
            guard byteCount <= available else { return (false, max(available, 0)) }
            allocated += byteCount
            return (true, available)
        }
    }

    func giveBack(_ byteCount: Int) { allocated.withLock { $0 -= byteCount } }
}

extension Matrix {
    /// Address of element (0, 0), for a matrix of a CPU device.
    func pointer<Element>(as type: Element.Type) -> UnsafeMutablePointer<Element> {
        let storage = unsafeDowncast(storage, to: CPUStorage.self)
        return storage.address.assumingMemoryBound(to: Element.self) + offset
    }

    /// Address of element (0, 0) of a float32 matrix of a CPU device.
    var floats: UnsafeMutablePointer<Float> { pointer(as: Float.self) }
}
