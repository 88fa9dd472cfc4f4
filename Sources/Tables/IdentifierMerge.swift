import CVectorLoops
import Core

/// One numbering out of those of several threads.
struct MergedIdentifiers {
    let index: IdentifierIndex
    /// For each thread: the final number of each of its numbers; empty when there was one thread only and the numbers
    /// stay.
    let maps: [HostBuffer<Int32>]

    /// Numbers identifiers by their first position in the file. Within a thread first positions ascend, because a
    /// thread takes its blocks in the file's order; so a merge of sorted lists meets every identifier first where the
    /// file has it first.
    ///
    /// - Throws: ``Core/DataError`` beyond 2³¹ − 1 identifiers, ``Core/SystemError`` without memory.
    init(_ tables: [OpaquePointer], role: String, path: String) throws {
        if tables.count == 1 {
            index = MergedIdentifiers.copy(tables[0])
            maps = []
            return
        }
        guard let merged = apus_identifiers_create() else {
            throw SystemError(operation: "number the \(role)s", object: path, reason: "out of memory")
        }
        defer { apus_identifiers_destroy(merged) }
        let counts = tables.map { Int(apus_identifiers_count($0)) }
        let positions = tables.map { apus_identifiers_first_positions($0)! }
        let bytes = tables.map { apus_identifiers_bytes($0)! }
        let offsets = tables.map { apus_identifiers_offsets($0)! }
        let maps = counts.map { HostBuffer<Int32>(uninitializedCount: $0) }
        var next = [Int](repeating: 0, count: tables.count)
        while true {
            var first = -1
            var position = UInt64.max
            for table in tables.indices where next[table] < counts[table] {
                let candidate = positions[table][next[table]]
                if first < 0 || candidate < position {
                    first = table
                    position = candidate
                }
            }
            guard first >= 0 else { break }
            let number = next[first]
            next[first] += 1
            let start = offsets[first][number]
            let place = apus_identifiers_add(
                merged, bytes[first] + Int(start), offsets[first][number + 1] - start, position)
            guard place >= 0 else {
                if apus_identifiers_count(merged) >= Int64(Int32.max) {
                    throw DataError("there are more than 2^31 - 1 \(role)s", file: path)
                }
                throw SystemError(operation: "number the \(role)s", object: path, reason: "out of memory")
            }
            maps[first][number] = place
        }
        index = MergedIdentifiers.copy(merged)
        self.maps = maps
    }

    private static func copy(_ table: OpaquePointer) -> IdentifierIndex {
        let count = Int(apus_identifiers_count(table))
        let offsets = HostBuffer<Int64>(uninitializedCount: count + 1)
        offsets.baseAddress.update(from: apus_identifiers_offsets(table), count: count + 1)
        let length = Int(offsets[count])
        let bytes = HostBuffer<UInt8>(uninitializedCount: length)
        bytes.baseAddress.update(from: apus_identifiers_bytes(table), count: length)
        return IdentifierIndex(trusted: bytes, offsets: offsets)
    }
}
