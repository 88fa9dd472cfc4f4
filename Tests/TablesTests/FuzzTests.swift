import Core
import Foundation
import Glibc
import Tables
import Testing

/// Mutated files: whatever they hold, reading ends with data that is sound, or with a typed error.
@Suite struct FuzzTests {
    private static let seeds: [(name: String, text: [UInt8])] = [
        (
            "a.csv",
            Array(
                "user,item,rating,time\nu1,i1,4.5,1000000000\nu2,i2,3,2011-12-09\r\n\"a,\"\"b\",\"c\nd\",1e2,5\n".utf8)
        ),
        ("b.tsv", Array("userId\titemId\tcount\tevent\n1\t2\t3\tview\n007\t2\t3\tbuy\n7\t2\t-3\tview\n".utf8)),
        (
            "c.dat",
            Array("user::item::rating::time\n1::2::5::978300760\n1::3::4::978300761\n22::3::4::978300762\n".utf8)
        ),
        (
            "d.jsonl",
            Array(
                "{\"user\":\"a\",\"item\":1,\"rating\":2.5,\"time\":\"2020-01-01\"}\n{\"item\":\"\\u00e9\\n\",\"user\":3,\"rating\":1,\"x\":[{}],\"time\":7}\n"
                    .utf8)
        ),
        ("e.csv", [0xEF, 0xBB, 0xBF] + Array("user;item\nä;中\n😀;x\n".utf8)),
        (
            "f.csv",
            Array("user,item\n".utf8) + [
                0xD5, 0xC5, 0xC8, 0xFD, 0x2C, 0xC6, 0xBB, 0xB9, 0xFB, 0x0A, 0xC0, 0xEE, 0x2C, 0xCF, 0xE3, 0x0A,
            ]
        ),
        ("g.csv", Array("user|item|date\nx|y|19970101\nx|z|19970102\n".utf8)),
    ]
    private static let tokens: [[UInt8]] = [
        [0x22], [0x2C], [0x0A], [0x0D, 0x0A], [0x09], [0x3A, 0x3A], [0], [0xFF], [0x7B], [0x7D], [0x5C],
        Array("nan".utf8),
        Array("1e999".utf8), Array("-".utf8), Array("99999999999999999999".utf8), [0xC3], Array("\"\"".utf8),
        Array("\\u0000".utf8), [0x1F, 0x8B], Array("0".utf8), [0x20],
    ]

    private func mutate(_ bytes: [UInt8], _ draw: Philox, _ index: inout UInt64) -> [UInt8] {
        func next(_ bound: Int) -> Int {
            index += 1
            return draw.integer(index, below: max(bound, 1))
        }
        var result = bytes
        for _ in 0..<(1 + next(6)) {
            let place = next(result.count + 1)
            switch next(6) {
            case 0 where place < result.count: result[place] = UInt8(next(256))
            case 1 where place < result.count: result[place] ^= UInt8(1 << next(8))
            case 2: result.insert(contentsOf: FuzzTests.tokens[next(FuzzTests.tokens.count)], at: place)
            case 3: result.removeSubrange(place..<min(result.count, place + next(8)))
            case 4:
                let piece = Array(result[place..<min(result.count, place + next(40))])
                result.insert(contentsOf: piece, at: next(result.count + 1))
            default: if next(4) == 0 { result.removeLast(next(result.count)) }
            }
        }
        return result
    }

    @Test func readersSurviveMutations() throws {
        let folder = TemporaryFolder()
        let draw = Philox(seed: 99, stream: 1)
        var index: UInt64 = 0
        var read = 0
        var refused = 0
        let clock = ContinuousClock()
        // Continuous integration gives it longer.
        let seconds = ProcessInfo.processInfo.environment["APUS_FUZZ_SECONDS"].flatMap(Double.init) ?? 4
        let end = clock.now + .seconds(seconds)
        var round = 0
        while clock.now < end {
            defer { round += 1 }
            let seed = FuzzTests.seeds[round % FuzzTests.seeds.count]
            var bytes = mutate(seed.text, draw, &index)
            switch round / 7 % 5 {
            case 0: bytes = mutate(gzipStored(bytes), draw, &index)
            case 1: bytes = zstandardStored(bytes)
            default: break
            }
            var options = InteractionOptions()
            options.needsTimes = round % 2 == 0
            options.onBadRow = round % 3 == 0 ? .fail : .skip
            options.threads = 1 + round % 2
            // Small blocks put their borders everywhere.
            options.blockBytes = 16 << (round % 11)
            if round % 5 == 0 { options.headerlessColumns = ["user", "item", "rating"] }
            if round % 4 == 0 { options.eventWeights = ["view": 1, "*": 2] }
            if round % 9 == 0 { options.encoding = TextEncoding.allCases[round / 9 % 4] }
            if round % 11 == 0 { options.quoting = true }
            let path = folder.write(seed.name, bytes)
            do {
                let data = try InteractionReader.read(path, options: options)
                read += 1
                expectConsistent(data)
                #expect(data.users.count > 0 && data.items.count > 0)
                #expect(data.byUser.values.elements.allSatisfy { $0.isFinite })
                var one = options
                one.threads = 1
                one.blockBytes = 1 << 19
                let again = try InteractionReader.read(path, options: one)
                #expect(again.fingerprint == data.fingerprint, "round \(round)")
            } catch is DataError { refused += 1 } catch is SystemError { refused += 1 } catch is ParameterError {
                refused += 1
            }
        }
        #expect(read > round / 20 && refused > round / 20, "\(read) read, \(refused) refused of \(round)")
    }
}
