import Core
import Testing

@Suite(.serialized) struct MemoryMeterTests {
    @Test func seesAPeakThatHasPassed() {
        let size = 256 << 20
        let meter = MemoryMeter.start(intervalMilliseconds: 1)
        let before = MemoryMeter.currentBytes
        #expect(before > 0)
        do {
            let buffer = HostBuffer<UInt8>(repeating: 1, count: size)
            #expect(MemoryMeter.currentBytes > before + size / 2)
            var sum = 0
            for round in 0..<20 { for byte in buffer.elements { sum &+= Int(byte) &+ round } }
            #expect(sum > 0)
        }
        meter.stop()
        #expect(meter.peakBytes > before + size / 2)
        #expect(MemoryMeter.currentBytes < before + size / 2)
        meter.stop()
    }
}
