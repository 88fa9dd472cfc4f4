import Core

#if canImport(Glibc)
    import Glibc
#endif

/// Interactions for measuring speed: log-normal numbers per user and Zipf-like items, without any taste in them.
///
/// The long tails are what decides the speed of a solver; a structure that could be learned is not needed. For data to
/// learn from there is `apus synth`. Some 10 million interactions a second.
enum SyntheticPattern {
    /// users × items with ones. Users have exp(N(0, 1)) + 0.1 interactions in proportion; item of rank r is drawn with
    /// a probability in proportion to (r + 10)^−0.8, and ranks are dealt out at random.
    ///
    /// - Parameter interactions: at most half of the pairs; the result has as many, but for rounding where users are
    ///   full.
    static func make(users: Int, items: Int, interactions: Int, seed: UInt64 = 42) -> HostSparseMatrix {
        let counts = userCounts(users: users, items: items, interactions: interactions, seed: seed)
        let ranks = Philox(seed: seed, stream: 0xB_0002).permutation(count: items)
        let guide = RankGuide(items: items)
        let pointers = HostBuffer<Int64>(uninitializedCount: users + 1)
        pointers[0] = 0
        for user in 0..<users { pointers[user + 1] = pointers[user] + Int64(counts[user]) }
        let total = Int(pointers[users])
        let columns = HostBuffer<Int32>(uninitializedCount: total)
        let random = Philox(seed: seed, stream: 0xB_0003)
        var draw: UInt64 = 0
        // The user that drew an item last, so that no item is drawn twice.
        var owner = [Int32](repeating: -1, count: items)
        owner.withUnsafeMutableBufferPointer { owner in
            for user in 0..<users {
                let start = Int(pointers[user])
                let end = Int(pointers[user + 1])
                var place = start
                while place < end {
                    let four = random.block(draw)
                    draw += 1
                    for lane in 0..<4 where place < end {
                        let item = ranks[guide.rank(four[lane])]
                        if owner[item] == Int32(user) { continue }
                        owner[item] = Int32(user)
                        columns[place] = Int32(item)
                        place += 1
                    }
                }
                var row = UnsafeMutableBufferPointer(rebasing: columns.elements[start..<end])
                row.sort()
            }
        }
        return HostSparseMatrix(
            rows: users, columns: items, rowPointers: pointers, columnIndices: columns,
            values: HostBuffer(repeating: 1, count: total))
    }

    private static func userCounts(users: Int, items: Int, interactions: Int, seed: UInt64) -> [Int] {
        let random = Philox(seed: seed, stream: 0xB_0001)
        let weights = (0..<users).map { exp(random.normal(UInt64($0))) + 0.1 }
        let sum = weights.reduce(0, +)
        var counts: [Int] = []
        var (due, given) = (0.0, 0)
        for weight in weights {
            // What rounding, or a full user, leaves over goes to the next.
            due += weight / sum * Double(interactions)
            let count = max(0, min(Int(due.rounded()) - given, items / 2))
            counts.append(count)
            given += count
        }
        return counts
    }

    /// Draws ranks by inversion, with a table that tells where to begin.
    private struct RankGuide {
        private let cumulative: [UInt32]
        private let first: [Int32]
        private static let bits: UInt32 = 16

        init(items: Int) {
            var sums: [Double] = []
            var sum = 0.0
            for rank in 0..<items {
                sum += pow(Double(rank) + 10, -0.8)
                sums.append(sum)
            }
            cumulative = sums.map { UInt32(min($0 / sum * 4_294_967_296, 4_294_967_295)) }
            var starts: [Int32] = []
            var rank = 0
            for cell in 0..<UInt32(1 << Self.bits) {
                while rank < items - 1, cumulative[rank] < cell << (32 - Self.bits) { rank += 1 }
                starts.append(Int32(rank))
            }
            first = starts
        }

        func rank(_ number: UInt32) -> Int {
            var rank = Int(first[Int(number >> (32 - Self.bits))])
            while rank < cumulative.count - 1, cumulative[rank] < number { rank += 1 }
            return rank
        }
    }
}
