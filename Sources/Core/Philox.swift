/// The counter-based generator Philox4x32-10.
///
/// A number is a pure function of a seed, a stream and an index: no state, so that any thread of any device can draw
/// any number in any order and get the same bits. Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
/// easy as 1, 2, 3", SC 2011. The test vectors of the authors' Random123 library hold.
public struct Philox: Sendable {
    /// The seed that a user gave.
    public let seed: UInt64
    /// Separates uses of one seed: initial factors, splits, bootstrap, …
    public let stream: UInt64

    /// - Parameters:
    ///   - seed: the seed that a user gave.
    ///   - stream: separates uses of one seed; numbers of different streams are independent.
    public init(seed: UInt64, stream: UInt64) {
        self.seed = seed
        self.stream = stream
    }

    /// The ten rounds, on a 128-bit counter with a 64-bit key.
    @inlinable public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        var c = counter
        var k = key
        for _ in 0..<10 {
            let p0 = UInt64(0xD251_1F53) &* UInt64(c.x)
            let p1 = UInt64(0xCD9E_8D57) &* UInt64(c.z)
            c = SIMD4(
                UInt32(truncatingIfNeeded: p1 >> 32) ^ c.y ^ k.x, UInt32(truncatingIfNeeded: p1),
                UInt32(truncatingIfNeeded: p0 >> 32) ^ c.w ^ k.y, UInt32(truncatingIfNeeded: p0))
            k.x = k.x &+ 0x9E37_79B9
            k.y = k.y &+ 0xBB67_AE85
        }
        return c
    }

    /// Four 32-bit integers for block `index`: the counter is (index, stream), the key the seed.
    @inlinable public func block(_ index: UInt64) -> SIMD4<UInt32> {
        Philox.block(
            counter: SIMD4(
                UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32),
                UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)),
            key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
    }

    /// The 32-bit integer number `index`.
    @inlinable public func integer(_ index: UInt64) -> UInt32 {
        block(index >> 2)[Int(index & 3)]
    }

    /// The 64-bit integer number `index`.
    @inlinable public func integer64(_ index: UInt64) -> UInt64 {
        let four = block(index >> 1)
        return index & 1 == 0 ? UInt64(four.x) | UInt64(four.y) << 32 : UInt64(four.z) | UInt64(four.w) << 32
    }

    /// A float32 uniform in [0, 1): the upper 24 bits of integer number `index`, times 2⁻²⁴.
    @inlinable public func uniform(_ index: UInt64) -> Float {
        Float(integer(index) >> 8) * 0x1p-24
    }

    /// A float64 uniform in [0, 1): the upper 53 bits of 64-bit integer number `index`, times 2⁻⁵³.
    @inlinable public func uniform64(_ index: UInt64) -> Double {
        Double(integer64(index) >> 11) * 0x1p-53
    }

    /// An integer in 0 ..< `bound`, by multiplication of a 64-bit integer; the bias is below bound · 2⁻⁶⁴.
    @inlinable public func integer(_ index: UInt64, below bound: Int) -> Int {
        Int(integer64(index).multipliedFullWidth(by: UInt64(bound)).high)
    }
}
