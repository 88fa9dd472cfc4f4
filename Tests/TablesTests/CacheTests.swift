import Core
import Glibc
import Tables
import Testing

@Suite struct CacheTests {
    private let folder = TemporaryFolder()

    private func source() -> String { folder.write("data.csv", shop(rows: 5_000, users: 90, items: 70, seed: 8)) }

    private func options() -> InteractionOptions {
        var options = InteractionOptions()
        options.needsTimes = true
        return options
    }

    private func expectEqual(_ a: Interactions, _ b: Interactions) {
        #expect(a.users.strings == b.users.strings && a.items.strings == b.items.strings)
        #expect(a.byUser.rowPointers.array == b.byUser.rowPointers.array)
        #expect(a.byUser.columnIndices.array == b.byUser.columnIndices.array)
        #expect(a.byUser.values.array == b.byUser.values.array && a.byItem.values.array == b.byItem.values.array)
        #expect(a.byItem.rowPointers.array == b.byItem.rowPointers.array)
        #expect(a.times?.array == b.times?.array)
        #expect(a.fingerprint == b.fingerprint && a.report == b.report)
    }

    @Test func writtenThenOpened() throws {
        let path = source()
        let first = try InteractionCache.read(path, options: options())
        #expect(first.outcome == .written(refused: nil))
        let second = try InteractionCache.read(path, options: options())
        #expect(second.outcome == .opened)
        expectEqual(first.interactions, second.interactions)
        expectConsistent(second.interactions)
        #expect(second.interactions.users.index(of: second.interactions.users[17]) == 17)
    }

    @Test func staleForeignAndDamagedCachesAreRefused() throws {
        let path = source()
        _ = try InteractionCache.read(path, options: options())
        var other = options()
        other.minimumValue = 1
        #expect(
            dataError { _ = try InteractionCache.open(source: path, options: other) }?.reason.contains("options")
                == true)
        let outcome = try InteractionCache.read(path, options: other).outcome
        #expect(outcome == .written(refused: "the cache was made with other options"))

        _ = folder.write("data.csv", shop(rows: 5_000, users: 90, items: 70, seed: 9))
        #expect(
            dataError { _ = try InteractionCache.open(source: path, options: other) }?.reason.contains("stale") == true)

        let cache = InteractionCache.path(for: path)
        _ = folder.write("data.csv.apuscache", "something else, long enough to have a preamble of sixty-four bytes")
        #expect(dataError { _ = try InteractionCache.open(source: path) }?.reason.contains("not a cache") == true)
        unlink(cache)
        #expect(throws: SystemError.self) { try InteractionCache.open(source: path) }
    }

    @Test func aFolderThatCanNotBeWrittenCostsTheCacheOnly() throws {
        // A folder where the cache should be refuses the rename, for every user.
        let path = source()
        mkdir(InteractionCache.path(for: path), 0o755)
        mkdir(InteractionCache.path(for: path) + "/x", 0o755)
        let read = try InteractionCache.read(path)
        guard case .notWritten = read.outcome else {
            Issue.record("the cache can't have been written")
            return
        }
        rmdir(InteractionCache.path(for: path) + "/x")
        rmdir(InteractionCache.path(for: path))
    }

    @Test func mutatedCachesAreRefusedOrSound() throws {
        let path = source()
        let original = try InteractionCache.read(path, options: options()).interactions
        let cache = InteractionCache.path(for: path)
        let bytes = try contents(cache)
        let draw = Philox(seed: 21, stream: 1)
        var refused = 0
        for round in 0..<400 {
            var mutated = bytes
            let index = UInt64(round) * 64
            if round % 8 == 0 {
                mutated.removeLast(draw.integer(index, below: bytes.count))
            } else {
                for change in 0..<UInt64(1 + round % 3) {
                    // Half of the changes hit the preamble and the header.
                    let reach = draw.integer(index + 4 * change + 1, below: 2) == 0 ? 4096 : bytes.count
                    mutated[draw.integer(index + 4 * change + 2, below: reach)] ^= UInt8(
                        1 + draw.integer(index + 4 * change + 3, below: 255))
                }
            }
            _ = folder.write("data.csv.apuscache", mutated)
            do {
                expectEqual(original, try InteractionCache.open(source: path, options: options()))
            } catch { refused += 1 }
            // Without the hash values may be wrong, but nothing may lie outside its array.
            if let opened = try? InteractionCache.open(source: path, options: options(), verifying: false) {
                #expect(opened.byUser.columnIndices.elements.allSatisfy { $0 >= 0 && $0 < opened.items.count })
                #expect(opened.byItem.columnIndices.elements.allSatisfy { $0 >= 0 && $0 < opened.users.count })
                _ = opened.users.strings.count + opened.items.strings.count
            }
        }
        #expect(refused > 200)
    }

    private func contents(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return result }
            result += buffer[..<count]
        }
    }
}
