import CVectorLoops
import Core

/// The hash in a fingerprint.
package enum StructureHash {
    /// Hash of identifiers, interactions by user, times and options, as 32 hexadecimal digits. The arrays are hashed in
    /// pieces of one megabyte, on several threads, and the pieces' hashes in order. O(bytes).
    static func of(_ data: SparseInteractions, options: String, threads: Int) -> String {
        var parts: [UnsafeRawBufferPointer] = [
            raw(data.users.bytes), raw(data.users.offsets), raw(data.items.bytes), raw(data.items.offsets),
            raw(data.byUser.rowPointers), raw(data.byUser.columnIndices), raw(data.byUser.values),
        ]
        if let times = data.times { parts.append(raw(times)) }
        return withExtendedLifetime(data) { hexadecimal(hash(parts, options: options, threads: threads)) }
    }

    package static func raw<Element>(_ buffer: HostBuffer<Element>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(buffer.baseAddress), count: buffer.byteCount)
    }

    package static func hash(_ parts: [UnsafeRawBufferPointer], options: String, threads: Int) -> [UInt64] {
        var pieces: [(part: UnsafeRawBufferPointer, seed: UInt64)] = []
        for (number, part) in parts.enumerated() {
            var start = 0
            repeat {
                let end = min(start + 1 << 20, part.count)
                pieces.append((UnsafeRawBufferPointer(rebasing: part[start..<end]), UInt64(number)))
                start = end
            } while start < part.count
        }
        var hashes = [UInt64](repeating: 0, count: pieces.count * 2)
        hashes.withUnsafeMutableBufferPointer { hashes in
            let base = hashes.baseAddress!
            Workers.share(tasks: pieces.count, threads: threads) { task in
                let (part, seed) = pieces[task]
                apus_hash_bytes(
                    part.bindMemory(to: UInt8.self).baseAddress
                        ?? UnsafeRawPointer(base).assumingMemoryBound(to: UInt8.self),
                    Int64(part.count), seed, base + 2 * task)
            }
        }
        var text = options
        var result: [UInt64] = [0, 0]
        text.withUTF8 { bytes in
            if let start = bytes.baseAddress { apus_hash_bytes(start, Int64(bytes.count), 1, &result) }
        }
        hashes.append(contentsOf: result)
        hashes.withUnsafeBytes { bytes in
            apus_hash_bytes(bytes.bindMemory(to: UInt8.self).baseAddress!, Int64(bytes.count), 2, &result)
        }
        return result
    }

    package static func hexadecimal(_ words: [UInt64]) -> String {
        words.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
