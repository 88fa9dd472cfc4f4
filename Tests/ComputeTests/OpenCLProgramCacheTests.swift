import Compute
import ComputeOpenCL
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Programs on disk.
@Suite struct OpenCLProgramCacheTests {
    typealias Support = OpenCLTestSupport
    let folder: String

    init() throws {
        var template = Array("/tmp/apus-cache-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        folder = String(cString: made)
    }

    private func open() throws -> OpenCLDevice {
        try Support.open(OpenCLDeviceOptions(programFolder: folder + "/programs"))
    }

    private func files() -> [String] {
        guard let directory = opendir(folder + "/programs") else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    private func overwrite(_ name: String, at place: Int, with text: String) throws {
        let descriptor = Glibc.open("\(folder)/programs/\(name)", O_WRONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        #expect(pwrite(descriptor, text, text.utf8.count, place) == text.utf8.count)
    }

    private static let source = "__kernel void cached(__global float *x) { x[get_global_id(0)] = 1.25f; }"

    @Test func programsAreStoredAndCorruptionIsRepaired() throws {
        try open().compile(source: Self.source, named: "cached")
        let stored = files()
        #expect(stored.count == 1)
        let name = try #require(stored.first)
        // A second device takes the file and adds none; another source has a file of its own.
        try open().compile(source: Self.source, named: "cached")
        #expect(files() == stored)
        try open().compile(source: Self.source + " ", named: "cached")
        #expect(files().count == 2)

        let path = "\(folder)/programs/\(name)"
        var before = stat()
        #expect(stat(path, &before) == 0)
        for (place, text) in [(0, "FOREIGN!"), (Int(before.st_size) - 40, "garbage"), (20, "other")] {
            try overwrite(name, at: place, with: text)
            try open().compile(source: Self.source, named: "cached")
            var after = stat()
            #expect(stat(path, &after) == 0)
            #expect(after.st_ino != before.st_ino || after.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
            before = after
        }
        #expect(truncate(path, 50) == 0)
        try open().compile(source: Self.source, named: "cached")
        var after = stat()
        #expect(stat(path, &after) == 0 && after.st_size > 50)
    }

    @Test func aFolderThatCannotBeMadeIsNoError() throws {
        let blocker = Glibc.open(folder + "/programs", O_CREAT | O_WRONLY, 0o644)
        close(blocker)
        try open().compile(source: Self.source, named: "cached")
    }

    @Test func compileTimeIsCounted() throws {
        let device = try open()
        #expect(device.compileSeconds == 0)
        let stream = try device.makeStream()
        let matrix = try stream.allocate(rows: 10, columns: 10)
        try stream.fill(matrix, with: 1)
        let first = device.compileSeconds
        #expect(first > 0)
        try stream.fill(matrix, with: 2)
        #expect(device.compileSeconds == first)
    }
}
