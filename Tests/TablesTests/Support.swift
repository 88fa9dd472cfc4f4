import Core
import Glibc
import Tables
import Testing

/// A folder that goes with the test.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/apus-tables-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != "." && name != ".." { unlink(path + "/" + name) }
            }
            closedir(folder)
        }
        rmdir(path)
    }

    func write(_ name: String, _ bytes: [UInt8]) -> String {
        let file = path + "/" + name
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        var written = 0
        bytes.withUnsafeBytes { buffer in
            while written < buffer.count {
                let count = Glibc.write(descriptor, buffer.baseAddress! + written, buffer.count - written)
                guard count > 0 else { break }
                written += count
            }
        }
        close(descriptor)
        #expect(written == bytes.count)
        return file
    }

    func write(_ name: String, _ text: String) -> String { write(name, Array(text.utf8)) }
}

/// Gzip of stored (uncompressed) blocks.
func gzipStored(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]
    var start = 0
    repeat {
        let end = min(start + 65_535, bytes.count)
        let length = UInt16(end - start)
        result.append(end == bytes.count ? 1 : 0)
        for word in [length, ~length] { result += [UInt8(word & 0xFF), UInt8(word >> 8)] }
        result += bytes[start..<end]
        start = end
    } while start < bytes.count
    var crc: UInt32 = ~0
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    for word in [~crc, UInt32(bytes.count)] {
        for shift in [0, 8, 16, 24] { result.append(UInt8(word >> UInt32(shift) & 0xFF)) }
    }
    return result
}

/// A Zstandard frame of raw (uncompressed) blocks.
func zstandardStored(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xA0]
    for shift in [0, 8, 16, 24] { result.append(UInt8(bytes.count >> shift & 0xFF)) }
    var start = 0
    repeat {
        let end = min(start + 100_000, bytes.count)
        let header = (end - start) << 3 | (end == bytes.count ? 1 : 0)
        result += [UInt8(header & 0xFF), UInt8(header >> 8 & 0xFF), UInt8(header >> 16 & 0xFF)]
        result += bytes[start..<end]
        start = end
    } while start < bytes.count
    return result
}

func read(_ text: String, name: String = "data.csv", _ change: (inout InteractionOptions) -> Void = { _ in }) throws
    -> Interactions
{
    try read(Array(text.utf8), name: name, change)
}

func read(
    _ bytes: [UInt8], name: String = "data.csv", _ change: (inout InteractionOptions) -> Void = { _ in }
) throws -> Interactions {
    let folder = TemporaryFolder()
    var options = InteractionOptions()
    change(&options)
    return try InteractionReader.read(folder.write(name, bytes), options: options)
}

/// Entries by name: readable, and independent of the numbering.
func entries(_ data: Interactions) -> [String: Float] {
    var result: [String: Float] = [:]
    for user in 0..<data.byUser.rows {
        for entry in data.byUser.range(ofRow: user) {
            result["\(data.users[user])/\(data.items[Int(data.byUser.columnIndices[entry])])"] =
                data.byUser.values[entry]
        }
    }
    return result
}

/// Checks all that must hold for any interactions.
func expectConsistent(_ data: Interactions) {
    #expect(data.byUser.rows == data.users.count && data.byUser.columns == data.items.count)
    #expect(data.byItem.rows == data.items.count && data.byItem.columns == data.users.count)
    let transposed = data.byUser.transposed()
    #expect(transposed.rowPointers.array == data.byItem.rowPointers.array)
    #expect(transposed.columnIndices.array == data.byItem.columnIndices.array)
    #expect(transposed.values.array == data.byItem.values.array)
    for user in 0..<data.byUser.rows {
        let row = data.byUser.range(ofRow: user).map { data.byUser.columnIndices[$0] }
        #expect(row == Array(Set(row)).sorted())
    }
    if let times = data.times { #expect(times.count == data.byUser.entryCount) }
}

func dataError(_ body: () throws -> Void) -> DataError? {
    do {
        try body()
        return nil
    } catch { return error as? DataError }
}

/// Pseudo-random rows of a shop, as CSV.
func shop(rows: Int, users: Int, items: Int, seed: UInt64, prefix: String = "") -> String {
    let draw = Philox(seed: seed, stream: 7)
    var text = "user,item,rating,time\n"
    for row in 0..<rows {
        let index = UInt64(row) * 4
        text += "\(prefix)\(draw.integer(index, below: users)),\(draw.integer(index + 1, below: items))"
        text +=
            ",\(Double(draw.integer(index + 2, below: 10)) / 2),\(1_000_000_000 + draw.integer(index + 3, below: 500_000_000))\n"
    }
    return text
}
