import Core
import Testing

@Suite("Philox") struct PhiloxTests {
    /// The known answers of Random123 (kat_vectors, philox4x32 10).
    @Test func knownAnswers() {
        #expect(
            Philox.block(counter: SIMD4(0, 0, 0, 0), key: SIMD2(0, 0))
                == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        let ones = UInt32.max
        #expect(
            Philox.block(counter: SIMD4(ones, ones, ones, ones), key: SIMD2(ones, ones))
                == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
        #expect(
            Philox.block(
                counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
                key: SIMD2(0xa409_3822, 0x299f_31d0))
                == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    }

    @Test func seedStreamAndIndexFormKeyAndCounter() {
        let generator = Philox(seed: 0x299f_31d0_a409_3822, stream: 0x0370_7344_1319_8a2e)
        let block = generator.block(0x85a3_08d3_243f_6a88)
        #expect(block == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    }

    @Test func numbersArePiecesOfBlocks() {
        let generator = Philox(seed: 5, stream: 6)
        for index in 0..<40 as Range<UInt64> {
            let block = generator.block(index / 4)
            #expect(generator.integer(index) == block[Int(index % 4)])
            #expect(generator.uniform(index) == Float(block[Int(index % 4)] >> 8) / 16_777_216)
            let half = generator.block(index / 2)
            let low = index % 2 == 0 ? half.x : half.z
            let high = index % 2 == 0 ? half.y : half.w
            #expect(generator.integer64(index) == UInt64(high) << 32 | UInt64(low))
            #expect(generator.uniform64(index) == Double(generator.integer64(index) >> 11) * 0x1p-53)
        }
    }

    @Test func uniformsAreUniform() {
        let generator = Philox(seed: 42, stream: 0)
        let count = 200_000
        var sum = 0.0
        var square = 0.0
        var bins = [Int](repeating: 0, count: 16)
        for index in 0..<count {
            let value = generator.uniform(UInt64(index))
            #expect(value >= 0 && value < 1)
            sum += Double(value)
            square += Double(value) * Double(value)
            bins[Int(value * 16)] += 1
        }
        let mean = sum / Double(count)
        // Five standard errors.
        #expect(abs(mean - 0.5) < 5 * 0.2887 / Double(count).squareRoot())
        #expect(abs(square / Double(count) - mean * mean - 1.0 / 12) < 0.001)
        let expected = Double(count) / 16
        let chiSquare = bins.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        #expect(chiSquare < 44)  // 15 degrees of freedom, one in ten thousand
    }

    @Test func streamsAndSeedsDiffer() {
        let base = (0..<100).map { Philox(seed: 1, stream: 1).integer(UInt64($0)) }
        #expect(base != (0..<100).map { Philox(seed: 2, stream: 1).integer(UInt64($0)) })
        #expect(base != (0..<100).map { Philox(seed: 1, stream: 2).integer(UInt64($0)) })
        #expect(Set(base).count == 100)
    }

    @Test func normalsHaveTheMomentsOfTheNormalDistribution() {
        let generator = Philox(seed: 7, stream: 3)
        let count = 100_000
        let values = (0..<count).map { generator.normal(UInt64($0)) }
        func moment(_ power: Int) -> Double {
            values.reduce(0) { sum, value in sum + (0..<power).reduce(1) { product, _ in product * value } }
                / Double(count)
        }
        #expect(abs(moment(1)) < 5 / Double(count).squareRoot())
        #expect(abs(moment(2) - 1) < 0.03)
        #expect(abs(moment(3)) < 0.08)
        #expect(abs(moment(4) - 3) < 0.2)
        #expect(values.allSatisfy { $0.isFinite })
    }

    @Test func permutationsArePermutations() {
        let generator = Philox(seed: 9, stream: 9)
        for count in [0, 1, 2, 3, 100, 1000] {
            let order = generator.permutation(count: count)
            #expect(order.sorted() == Array(0..<count))
            #expect(order == generator.permutation(count: count))
        }
        #expect(generator.permutation(count: 100) != generator.permutation(count: 100, start: 100))
        #expect(generator.permutation(count: 100) != Array(0..<100))
    }

    @Test func everyPermutationOfThreeIsAsLikely() {
        var counts: [[Int]: Int] = [:]
        for seed in 0..<6000 { counts[Philox(seed: UInt64(seed), stream: 0).permutation(count: 3), default: 0] += 1 }
        #expect(counts.count == 6)
        #expect(counts.values.allSatisfy { abs($0 - 1000) < 150 })
    }

    @Test func boundedIntegersStayBelowTheirBound() {
        let generator = Philox(seed: 3, stream: 1)
        var seen: Set<Int> = []
        for index in 0..<1000 {
            let value = generator.integer(UInt64(index), below: 7)
            #expect(value >= 0 && value < 7)
            seen.insert(value)
        }
        #expect(seen.count == 7)
        #expect(generator.integer(5, below: 1) == 0)
    }
}
