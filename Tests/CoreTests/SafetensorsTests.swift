import Core
import Glibc
import Testing

@Suite struct SafetensorsTests {
    private let folder: String

    init() {
        var template = Array("/tmp/apus-safetensors-XXXXXX".utf8CString)
        folder = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }

    private func listing(_ folder: String) -> [String] {
        var names: [String] = []
        guard let handle = opendir(folder) else { return names }
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
            let name = String(cString: (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self))
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private func save(_ bytes: [UInt8], _ name: String = "raw") throws -> String {
        let path = folder + "/" + name
        let file = try AtomicFile(path: path)
        try file.write(bytes)
        try file.commit()
        return path
    }

    private func load(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        return bytes
    }

    private func sample() throws -> String {
        var writer = SafetensorsWriter(metadata: ["kind": "test", "quote": "a\"b\\c\n\u{1} é 鳥"])
        writer.add("bytes", shape: [5], HostBuffer<UInt8>([1, 2, 3, 4, 5]))
        writer.add("pointers", shape: [3], HostBuffer<Int64>([0, 7, -1]))
        writer.add("factors", shape: [16, 4], HostBuffer((0..<64).map { Float($0) / 3 }))
        writer.add("indices", shape: [3], HostBuffer<Int32>([1, -2, 3]))
        writer.add("doubles", shape: [2, 1], HostBuffer<Double>([.pi, -0.0]))
        writer.add("empty", shape: [0, 8], HostBuffer<Float>([]))
        writer.add("scalar", shape: [], HostBuffer<Float>([42]))
        let path = folder + "/sample"
        try writer.write(to: path)
        return path
    }

    @Test func roundTrip() throws {
        let file = try SafetensorsFile(path: sample())
        #expect(file.metadata == ["kind": "test", "quote": "a\"b\\c\n\u{1} é 鳥"])
        #expect(try file.bytes("bytes", shape: [5]).array == [1, 2, 3, 4, 5])
        #expect(try file.int64s("pointers").array == [0, 7, -1])
        #expect(try file.floats("factors", shape: [16, 4]).array == (0..<64).map { Float($0) / 3 })
        #expect(try file.int32s("indices").array == [1, -2, 3])
        #expect(try file.doubles("doubles").array.map(\.bitPattern) == [Double.pi, -0.0].map(\.bitPattern))
        #expect(try file.floats("empty", shape: [0, 8]).count == 0)
        #expect(try file.floats("scalar", shape: []).array == [42])
        #expect(Int(bitPattern: try file.floats("factors").baseAddress) % 64 == 0)
        #expect(file.tensors.count == 7)
        #expect(file.tensor("factors") == TensorDescription(name: "factors", type: .f32, shape: [16, 4]))
        #expect(listing(folder) == ["sample"])
    }

    @Test func aViewOutlivesItsFile() throws {
        let view = try SafetensorsFile(path: sample()).floats("factors")
        unlink(folder + "/sample")
        #expect(view[63] == 21)
        view[0] = 9
        #expect(view[0] == 9)
    }

    @Test func wrongRequests() throws {
        let file = try SafetensorsFile(path: sample())
        #expect(throws: DataError.self) { try file.floats("nothing") }
        #expect(throws: DataError.self) { try file.floats("pointers") }
        #expect(throws: DataError.self) { try file.floats("factors", shape: [4, 16]) }
    }

    /// Header text, data bytes, and a word of the message.
    @Test(arguments: [
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "cut short"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "behind its last tensor"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "does not fit"),
        ("{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "unknown"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "whole number"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "does not fit"),
        ("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}", 8, "gap"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8, "does not fit"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8, "too large"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "lacks"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8, "not expected"),
        (
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
                + "\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8, "twice"
        ),
        (
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
                + "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}", 8, "overlaps"
        ),
        ("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "twice"),
        ("{\"__metadata__\":{\"a\":1}}", 0, "JSON"),
        ("{\"__metadata__\":{\"a\":\"\\ud800\"}}", 0, "surrogate"),
        ("{\"__metadata__\":{\"a\":\"b\"}", 0, "JSON"),
        ("{} {}", 0, "behind the closing brace"),
    ])
    func refused(header: String, dataBytes: Int, word: String) throws {
        let path = try save(SafetensorsTests.file(Array(header.utf8), data: dataBytes))
        let error = #expect(throws: DataError.self) { try SafetensorsFile(path: path) }
        #expect(error?.reason.contains(word) == true, "\(String(describing: error))")
        #expect(error?.file == path)
    }

    private static func file(_ header: [UInt8], data: Int, length: UInt64? = nil) -> [UInt8] {
        let length = length ?? UInt64(header.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) } + header
            + [UInt8](repeating: 7, count: data)
    }

    @Test func notSafetensors() throws {
        for (bytes, word) in [
            ([], "0 bytes"), (Array("user,item,rating\n1,2,3\n".utf8), "no header"),
            (SafetensorsTests.file(Array("{}".utf8), data: 0, length: 1 << 40), "claims"),
            (SafetensorsTests.file(Array("{}".utf8), data: 0, length: .max), "claims"),
            (SafetensorsTests.file(Array("{}".utf8), data: 0, length: 1000), "cut short"),
        ] as [([UInt8], String)] {
            let path = try save(bytes)
            let error = #expect(throws: DataError.self) { try SafetensorsFile(path: path) }
            #expect(error?.reason.contains(word) == true, "\(String(describing: error))")
        }
        let missing = #expect(throws: SystemError.self) { try SafetensorsFile(path: folder + "/none") }
        #expect(missing?.operation == "open")
        #expect(throws: SystemError.self) { try SafetensorsFile(path: folder) }
    }

    @Test func tensorsOffTheirAlignmentAreCopied() throws {
        let header =
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            + "\"b\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[1,5]}}"
        let file = try SafetensorsFile(path: save(SafetensorsTests.file(Array(header.utf8), data: 5)))
        #expect(try file.int32s("b").array == [0x0707_0707])
    }

    /// Every truncation, and thousands of seeded mutations, either open or are refused; none crashes, and what opens
    /// can be read to its last byte.
    @Test func mutations() throws {
        let original = load(try sample())
        for length in 0..<original.count {
            let path = try write(Array(original[..<length]))
            #expect(throws: DataError.self) { try SafetensorsFile(path: path) }
        }
        let random = Philox(seed: 20_260_101, stream: 1)
        var opened = 0
        let pieces: [[UInt8]] = [
            "{", "}", "\"", "[", "]", ",", ":", "\\u", "-1", "99999999999999999999", "a", "\\ud83d",
        ]
        .map { Array($0.utf8) }
        for round in 0..<8_000 {
            var bytes = original
            let base = UInt64(round) * 64
            for step in 0..<UInt64(1 + random.integer(base, below: 4)) {
                let draw = base + 1 + step * 4
                // Half of the changes go to the header, where the decisions are made.
                let reach = random.integer(draw, below: 2) == 0 ? min(bytes.count, 600) : bytes.count
                if reach == 0 { break }
                let place = random.integer(draw + 1, below: reach)
                let byte = UInt8(truncatingIfNeeded: random.integer(draw + 2))
                switch random.integer(draw + 3, below: 6) {
                case 0: bytes[place] = byte
                case 1: bytes[place] ^= 1 << (byte & 7)
                case 2: bytes.remove(at: place)
                case 3: bytes.insert(byte, at: place)
                case 4: bytes.replaceSubrange(place..<place, with: pieces[Int(byte) % pieces.count])
                default: bytes.removeSubrange(place..<min(bytes.count, place + Int(byte)))
                }
            }
            do {
                let file = try SafetensorsFile(path: write(bytes))
                opened += 1
                for tensor in file.tensors where tensor.type == .f32 {
                    _ = try file.floats(tensor.name).array
                }
            } catch is DataError {}
        }
        #expect(opened > 100 && opened < 8_000)
    }

    /// Without sync, for the thousands of files of a fuzzing run.
    private func write(_ bytes: [UInt8]) throws -> String {
        let path = folder + "/mutant"
        let file = try #require(fopen(path, "wb"))
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
        return path
    }

    @Test func failuresLeaveTheOldFile() throws {
        let path = try sample()
        let before = load(path)
        let file = try AtomicFile(path: path)
        try file.write("half of it")
        #expect(listing(folder).count == 2)
        file.discard()
        #expect(load(path) == before)
        #expect(listing(folder) == ["sample"])
        do {
            let abandoned = try AtomicFile(path: path)
            try abandoned.write("more")
        }
        #expect(listing(folder) == ["sample"])

        let missing = #expect(throws: SystemError.self) { try SafetensorsWriter().write(to: folder + "/no/model") }
        #expect(missing?.reason.contains("folder exists") == true)
        let directory = #expect(throws: SystemError.self) { try SafetensorsWriter().write(to: folder) }
        #expect(directory?.reason.contains("name a file") == true)
        var writer = SafetensorsWriter()
        writer.add("a", shape: [1 << 20], HostBuffer<Float>(repeating: 1, count: 1 << 20))
        let full = #expect(throws: SystemError.self) { try writer.write(to: "/dev/full") }
        #expect(full?.reason.contains("free some space") == true)
    }

    @Test func replacingKeepsLinksAndModes() throws {
        let path = try save([1], "first")
        chmod(path, 0o640)
        symlink("first", folder + "/link")
        _ = try save([2, 3], "link")
        #expect(load(path) == [2, 3])
        var status = stat()
        #expect(lstat(folder + "/link", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
    }

    @Test func largeAndSmallWritesKeepTheirOrder() throws {
        let file = try AtomicFile(path: folder + "/mixed", bufferSize: 64)
        var expected: [UInt8] = []
        for length in [1, 63, 64, 65, 0, 200, 10, 54, 1, 128] {
            let piece = (0..<length).map { UInt8(truncatingIfNeeded: $0 &+ length) }
            try file.write(piece)
            expected += piece
        }
        #expect(file.byteCount == expected.count)
        try file.commit()
        #expect(load(folder + "/mixed") == expected)
    }
}
