import Core
import Testing

@Suite(.serialized) struct MemoryMeterTests {
    @Test func seesAPeakThatHasPassed() {
        let size = 256 << 20
        MemoryMeter.start(intervalMilliseconds: 1)
        let before = MemoryMeter.anonymousBytes()
        #expect(before > 0)
        do {
            let buffer = HostBuffer<UInt8>(repeating: 1, count: size)
            #expect(MemoryMeter.anonymousBytes() > before + size / 2)
            var sum = 0
            for round in 0..<20 { for byte in buffer.elements { sum &+= Int(byte) &+ round } }
            #expect(sum > 0)
        }
        MemoryMeter.stop()
        #expect(MemoryMeter.peakAnonymousBytes() > before + size / 2)
        #expect(MemoryMeter.anonymousBytes() < before + size / 2)
        MemoryMeter.stop()
    }
}
