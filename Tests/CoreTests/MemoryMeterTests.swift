import Core
import Testing

@Suite(.serialized) struct MemoryMeterTests {
    /// The meter sees the whole process, so that tests which run beside this one and allocate or free hundreds of
    /// megabytes in the same tenth of a second disturb it: some tries are allowed. A meter that doesn't see the buffer
    /// come or go, or forgets the peak, fails all of them.
    @Test func seesAPeakThatHasPassed() async throws {
        let size = 256 << 20
        var seen = (before: 0, during: 0, peak: 0, after: 0)
        for _ in 0..<40 {
            seen = measure(size)
            #expect(seen.before > 0)
            if seen.during > seen.before + size / 2, seen.peak > seen.before + size / 2,
                seen.after < seen.before + size / 2
            {
                return
            }
            try await Task.sleep(for: .milliseconds(250))
        }
        Issue.record("a buffer of \(size) bytes was not seen to come, stay as the peak, and go: \(seen)")
    }

    private func measure(_ size: Int) -> (before: Int, during: Int, peak: Int, after: Int) {
        MemoryMeter.start(intervalMilliseconds: 1)
        defer { MemoryMeter.stop() }
        let before = MemoryMeter.anonymousBytes()
        var during = 0
        do {
            let buffer = HostBuffer<UInt8>(repeating: 1, count: size)
            during = MemoryMeter.anonymousBytes()
            var sum = 0
            for byte in buffer.elements { sum &+= Int(byte) }
            #expect(sum == size)
        }
        MemoryMeter.stop()
        return (before, during, MemoryMeter.peakAnonymousBytes(), MemoryMeter.anonymousBytes())
    }
}
