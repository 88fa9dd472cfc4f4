import Core
import Glibc
import Tables
import Testing

@Suite struct DeterminismTests {
    private func expectEqual(_ a: Interactions, _ b: Interactions, sameOptions: Bool = true) {
        #expect(a.users.strings == b.users.strings)
        #expect(a.items.strings == b.items.strings)
        #expect(a.byUser.rowPointers.array == b.byUser.rowPointers.array)
        #expect(a.byUser.columnIndices.array == b.byUser.columnIndices.array)
        #expect(a.byUser.values.array.map(\.bitPattern) == b.byUser.values.array.map(\.bitPattern))
        #expect(a.byItem.columnIndices.array == b.byItem.columnIndices.array)
        #expect(a.times?.array == b.times?.array)
        #expect(a.report.rowsKept == b.report.rowsKept)
        if sameOptions { #expect(a.fingerprint.hash == b.fingerprint.hash) }
    }

    @Test(arguments: ["", "user-with-a-long-name-"], [DuplicateRule.sum, .last, .max])
    func threadsDoNotMatter(_ prefix: String, _ rule: DuplicateRule) throws {
        let text = shop(rows: 250_000, users: 3_000, items: 500, seed: 3, prefix: prefix)
        let folder = TemporaryFolder()
        let path = folder.write("data.csv", text)
        var options = InteractionOptions()
        options.needsTimes = true
        options.duplicates = rule
        options.minimumValue = 1
        options.threads = 1
        let one = try InteractionReader.read(path, options: options)
        expectConsistent(one)
        for threads in [2, 5] {
            options.threads = threads
            expectEqual(one, try InteractionReader.read(path, options: options))
        }
        options.needsTimes = false
        let timeless = try InteractionReader.read(path, options: options)
        #expect(timeless.times == nil)
        #expect(timeless.byUser.columnIndices.array == one.byUser.columnIndices.array)
    }

    @Test func compressedStandardInputAndQuotedTextEqualPlain() throws {
        let text = shop(rows: 100_000, users: 900, items: 300, seed: 4)
        let bytes = Array(text.utf8)
        let folder = TemporaryFolder()
        let plain = try InteractionReader.read(folder.write("a.csv", bytes))
        let half = bytes.count / 2
        let members = gzipStored(Array(bytes[..<half])) + gzipStored(Array(bytes[half...]))
        let frames = zstandardStored(Array(bytes[..<half])) + zstandardStored(Array(bytes[half...]))
        // The name says nothing; the first bytes do.
        expectEqual(plain, try InteractionReader.read(folder.write("b.csv", gzipStored(bytes))))
        expectEqual(plain, try InteractionReader.read(folder.write("c.csv", members)))
        expectEqual(plain, try InteractionReader.read(folder.write("d.csv", zstandardStored(bytes))))
        expectEqual(plain, try InteractionReader.read(folder.write("e.csv", frames)))
        let quoted = text.split(separator: "\n").map { line in
            line.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ",")
        }
        expectEqual(plain, try InteractionReader.read(folder.write("f.csv", quoted.joined(separator: "\r\n"))))
        var options = InteractionOptions()
        options.delimiter = "::"
        let doubled = folder.write("g.csv", text.replacing(",", with: "::"))
        expectEqual(plain, try InteractionReader.read(doubled, options: options), sameOptions: false)
        expectEqual(plain, try throughStandardInput(folder.path + "/a.csv"))
    }

    private func throughStandardInput(_ path: String) throws -> Interactions {
        let saved = dup(STDIN_FILENO)
        let file = open(path, O_RDONLY)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let write = ends[1]
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Copy(from: file, to: write))
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Copy>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        dup2(ends[0], STDIN_FILENO)
        close(ends[0])
        defer {
            pthread_join(thread, nil)
            dup2(saved, STDIN_FILENO)
            close(saved)
        }
        return try InteractionReader.read("-")
    }

    private final class Copy {
        let from: Int32
        let to: Int32
        init(from: Int32, to: Int32) {
            self.from = from
            self.to = to
        }
        func run() {
            var buffer = [UInt8](repeating: 0, count: 10_007)
            while true {
                let count = Glibc.read(from, &buffer, buffer.count)
                guard count > 0, Glibc.write(to, buffer, count) == count else { break }
            }
            close(from)
            close(to)
        }
    }

    @Test func fingerprintsTellDataAndOptionsApart() throws {
        let text = "user,item,rating\na,x,1\nb,y,2\n"
        let one = try read(text)
        #expect(one.fingerprint.hash == (try read(text)).fingerprint.hash)
        #expect(one.fingerprint.hash.utf8.count == 32)
        #expect(one.fingerprint.hash != (try read(text.replacing("2", with: "3"))).fingerprint.hash)
        #expect(one.fingerprint.hash != (try read(text.replacing("b", with: "c"))).fingerprint.hash)
        #expect(one.fingerprint.hash != (try read(text) { $0.minimumValue = 0 }).fingerprint.hash)
        #expect(one.fingerprint.hash == (try read(text) { $0.threads = 3 }).fingerprint.hash)
    }
}
