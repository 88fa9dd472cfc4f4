import Core

/// Random numbers of one user (or item) in order, four to a Philox block.
struct SyntheticDraws {
    private let philox: Philox
    private var index: UInt64
    private var block = SIMD4<UInt32>()
    private var left = 0

    /// Numbers of entity `number`, for the purpose that `stream` stands for.
    init(seed: UInt64, stream: UInt64, number: Int) {
        philox = Philox(seed: seed, stream: 0x5359_4E54_0000_0000 | stream)
        index = UInt64(number) << 32
    }

    mutating func integer() -> UInt32 {
        if left == 0 {
            block = philox.block(index)
            index += 1
            left = 4
        }
        left -= 1
        return block[3 - left]
    }

    /// In 0 ..< bound, for bounds below 2³²; the bias is below bound · 2⁻³².
    mutating func integer(below bound: Int) -> Int {
        Int((UInt64(integer()) &* UInt64(bound)) >> 32)
    }

    /// In [0, 1).
    mutating func uniform() -> Double { Double(integer()) * 0x1p-32 }

    /// Of mean 0 and standard deviation 1: the sum of twelve uniforms less six (Irwin–Hall), so that no function of the
    /// system's mathematics library decides a value.
    mutating func normal() -> Double {
        var sum = -6.0
        for _ in 0..<12 { sum += uniform() }
        return sum
    }
}

/// Draws from given weights in constant time. Source: Vose, "A linear algorithm for generating random numbers with a
/// given distribution", IEEE Transactions on Software Engineering 17 (9), 1991.
struct AliasTable: Sendable {
    private let thresholds: [UInt32]
    private let aliases: [Int32]

    /// - Parameter weights: at least one, none negative, not all 0.
    init(_ weights: [Double]) {
        let count = weights.count
        let scale = Double(count) / weights.reduce(0, +)
        var rest = weights.map { $0 * scale }
        var thresholds = [UInt32](repeating: .max, count: count)
        var aliases = (0..<count).map { Int32($0) }
        var small: [Int] = []
        var large: [Int] = []
        for place in 0..<count {
            if rest[place] < 1 { small.append(place) } else { large.append(place) }
        }
        while let less = small.popLast(), let more = large.last {
            thresholds[less] = UInt32(min(max(rest[less], 0) * 0x1p32, 0x1p32 - 1))
            aliases[less] = Int32(more)
            rest[more] -= 1 - rest[less]
            if rest[more] < 1 {
                large.removeLast()
                small.append(more)
            }
        }
        self.thresholds = thresholds
        self.aliases = aliases
    }

    /// Entries of the table: with 2³² times `threshold` the place itself, else the alias.
    func entry(_ place: Int) -> (threshold: UInt32, alias: Int32) { (thresholds[place], aliases[place]) }

    func draw(_ draws: inout SyntheticDraws) -> Int {
        let place = draws.integer(below: thresholds.count)
        return draws.integer() < thresholds[place] ? place : Int(aliases[place])
    }
}
