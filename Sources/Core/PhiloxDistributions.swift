#if canImport(Glibc)
    import Glibc
#endif

extension Philox {
    /// A standard normal number, by the Box–Muller transform of 64-bit uniforms 2·(index/2) and 2·(index/2) + 1.
    /// Drawn on the host only, so that a device's transcendental functions never decide a result.
    public func normal(_ index: UInt64) -> Double {
        let pair = index & ~1
        let radius = (-2 * log(1 - uniform64(pair))).squareRoot()
        let angle = 2 * Double.pi * uniform64(pair + 1)
        return index & 1 == 0 ? radius * cos(angle) : radius * sin(angle)
    }

    /// A permutation of 0 ..< `count` by the Fisher–Yates shuffle, from the numbers `start` … `start + count - 1`.
    public func permutation(count: Int, start: UInt64 = 0) -> [Int] {
        var order = Array(0..<count)
        guard count > 1 else { return order }
        for place in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(place, integer(start + UInt64(place), below: place + 1))
        }
        return order
    }
}
