import Core
import Tables

/// What people did, in its order.
struct SequenceData {
    /// Items of all people, person after person, the earliest first.
    let items: [Int32]
    /// Where each person's begin; one more than people.
    let offsets: [Int]
    /// Number of items of the catalogue.
    let catalogue: Int

    /// Sorted by time; what has the same time, by the number of the item.
    ///
    /// - Throws: ``DataError`` without times.
    init(_ histories: HostSparseMatrix, times: HostBuffer<Int64>?) throws(DataError) {
        guard let times else {
            throw DataError("a sequence model needs the times of the interactions: give the file a time column")
        }
        var items: [Int32] = []
        items.reserveCapacity(histories.entryCount)
        var offsets = [0]
        for row in 0..<histories.rows {
            items += Self.order(histories, row: row, times: times)
            offsets.append(items.count)
        }
        self.items = items
        self.offsets = offsets
        catalogue = histories.columns
    }

    /// The items of one row, the earliest first. Without times, by their numbers.
    static func order(_ histories: HostSparseMatrix, row: Int, times: HostBuffer<Int64>?) -> [Int32] {
        let range = histories.range(ofRow: row)
        guard let times else { return range.map { histories.columnIndices[$0] } }
        return range.sorted { (times[$0], $0) < (times[$1], $1) }.map { histories.columnIndices[$0] }
    }

    /// Number of people.
    var people: Int { offsets.count - 1 }

    /// The items of a person.
    func items(of person: Int) -> ArraySlice<Int32> { items[offsets[person]..<offsets[person + 1]] }

    /// The same without the last item of everyone who has at least three; and who these people are.
    func withoutLast() -> (rest: SequenceData, people: [Int]) {
        var (kept, offsets, shortened): ([Int32], [Int], [Int]) = ([], [0], [])
        for person in 0..<people {
            let own = items(of: person)
            if own.count >= 3 { shortened.append(person) }
            kept += own.count >= 3 ? own.dropLast() : own
            offsets.append(kept.count)
        }
        return (SequenceData(items: kept, offsets: offsets, catalogue: catalogue), shortened)
    }

    private init(items: [Int32], offsets: [Int], catalogue: Int) {
        self.items = items
        self.offsets = offsets
        self.catalogue = catalogue
    }

    /// Places of `items` that are read together: each but the last has its follower as the next item. The latest
    /// `length` of a person, then those before them, so that every item but a person's first is to be predicted once.
    func windows(length: Int) -> [Range<Int>] {
        var windows: [Range<Int>] = []
        for person in 0..<people {
            var end = offsets[person + 1] - 1
            while end > offsets[person] {
                let begin = max(end - length, offsets[person])
                windows.append(begin..<end)
                end = begin
            }
        }
        return windows
    }

    /// A number that changes with the data.
    var fingerprint: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ word: UInt64) { hash = (hash ^ word) &* 0x100_0000_01b3 }
        mix(UInt64(catalogue))
        for item in items { mix(UInt64(UInt32(bitPattern: item))) }
        for offset in offsets { mix(UInt64(offset)) }
        return String(hash, radix: 16)
    }
}
