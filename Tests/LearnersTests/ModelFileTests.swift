import Compute
import Core
import Foundation
import Learners
import Tables
import Testing

/// The model file: what is written is read, and what is damaged is refused.
@Suite struct ModelFileTests {
    private static func small(_ feedback: Feedback = .implicit) throws -> RecommenderModel {
        var options = RecommenderTrainingOptions()
        options.factorization.feedback = feedback
        options.factorization.factors = 4
        options.factorization.iterations = 3
        options.factorization.confidence = .log
        options.split = SplitOptions(kind: .users, seed: 3, heldOutUserFraction: 0.2)
        options.cutoffs = [5]
        let interactions = try shop(users: 40, items: 24, interactions: 400)
        let training = try RecommenderTraining(
            interactions: interactions, options: options, stream: try TestDevices.stream("cpu"))
        training.request = ["arguments": "train\u{1F}als"]
        training.itemTitles = IdentifierIndex(interactions.items.strings.map { "Title of \($0) – «é»" })
        return try training.run().model
    }

    private func replacing(_ old: String, _ new: String, in bytes: [UInt8]) throws -> [UInt8] {
        let (old, new) = (Array(old.utf8), Array(new.utf8))
        try #require(old.count == new.count)
        var result = bytes
        let place = try #require((0..<bytes.count - old.count).first { Array(bytes[$0..<$0 + old.count]) == old })
        result.replaceSubrange(place..<place + old.count, with: new)
        return result
    }

    private func refusal(_ bytes: [UInt8], _ folder: TemporaryFolder) throws -> String {
        let path = folder.file("damaged.apus")
        try writeBytes(bytes, to: path)
        do {
            _ = try RecommenderModel(path: path)
            return "accepted"
        } catch let error as DataError {
            #expect(error.file == path)
            return error.reason
        }
    }

    @Test(arguments: Feedback.allCases)
    func roundTripsBitForBit(feedback: Feedback) throws {
        let folder = TemporaryFolder()
        let model = try Self.small(feedback)
        try model.save(to: folder.file("a.apus"))
        let loaded = try RecommenderModel(path: folder.file("a.apus"))
        #expect(loaded.factors!.users.isIdentical(to: model.factors!.users))
        #expect(loaded.factors!.items.isIdentical(to: model.factors!.items))
        #expect(loaded.factors!.mean == model.factors!.mean && loaded.factors!.options == model.factors!.options)
        #expect(loaded.users.strings == model.users.strings && loaded.items.strings == model.items.strings)
        #expect(loaded.itemTitles?.strings == model.itemTitles?.strings && loaded.title(of: 3).contains("«é»"))
        #expect(loaded.seen.values.array == model.seen.values.array)
        #expect(loaded.seen.columnIndices.array == model.seen.columnIndices.array)
        #expect(loaded.provenance == model.provenance && loaded.provenance.metrics.isEmpty == false)
        try loaded.save(to: folder.file("b.apus"))
        #expect(try readBytes(folder.file("a.apus")) == readBytes(folder.file("b.apus")))
    }

    @Test func otherVersionsAndKindsAreRefused() throws {
        let folder = TemporaryFolder()
        try Self.small().save(to: folder.file("a.apus"))
        let bytes = try readBytes(folder.file("a.apus"))
        #expect(try refusal(bytes, folder) == "accepted")
        let version = "\"apus_format_version\":\"1\""
        let newer = try refusal(replacing(version, version.replacing("1", with: "9"), in: bytes), folder)
        #expect(newer.contains("version 9") && newer.contains("newer Apus"))
        let kind = try refusal(replacing("\"apus_kind\":\"als\"", "\"apus_kind\":\"svm\"", in: bytes), folder)
        #expect(kind.contains("`als`") && kind.contains("`svm`"))
        let foreign = try refusal(replacing("apus_kind", "opus_kind", in: bytes), folder)
        #expect(foreign.contains("not written by Apus"))
        #expect(try refusal(replacing("\\\"factors\\\":4", "\\\"factors\\\":0", in: bytes), folder).contains("factors"))
        #expect(try refusal(Array("user,item\n1,2\n".utf8), folder) != "accepted")
        #expect(try refusal([], folder) != "accepted")
    }

    @Test func cutShortIsRefused() throws {
        let folder = TemporaryFolder()
        try Self.small().save(to: folder.file("a.apus"))
        let bytes = try readBytes(folder.file("a.apus"))
        for count in stride(from: 0, to: bytes.count, by: max(bytes.count / 150, 1)) {
            #expect(try refusal(Array(bytes[..<count]), folder) != "accepted", "\(count) of \(bytes.count) bytes")
        }
        #expect(try refusal(Array(bytes.dropLast()), folder) != "accepted")
    }

    /// Whatever a file holds, loading and using it ends with an answer or a typed error.
    @Test func mutationsDoNotCrash() throws {
        let folder = TemporaryFolder()
        var seeds: [[UInt8]] = []
        for feedback in Feedback.allCases {
            try Self.small(feedback).save(to: folder.file("a.apus"))
            seeds.append(try readBytes(folder.file("a.apus")))
        }
        let random = Philox(seed: 17, stream: 6)
        var index: UInt64 = 0
        func next(_ bound: Int) -> Int {
            index += 1
            return random.integer(index, below: max(bound, 1))
        }
        let stream = try TestDevices.stream("cpu")
        var (loaded, refused) = (0, 0)
        let clock = ContinuousClock()
        // Continuous integration gives it longer.
        let seconds = ProcessInfo.processInfo.environment["APUS_FUZZ_SECONDS"].flatMap(Double.init) ?? 4
        let end = clock.now + .seconds(seconds)
        while clock.now < end {
            var bytes = seeds[next(seeds.count)]
            // Half of the changes go to the header, where the structure is.
            let header = Int(bytes[0]) | Int(bytes[1]) << 8
            for _ in 0..<1 + next(4) {
                let place = min(next(2) == 0 ? next(8 + header) : next(bytes.count), bytes.count - 1)
                switch next(5) {
                case 0: bytes[place] = UInt8(next(256))
                case 1: bytes[place] ^= UInt8(1 << next(8))
                case 2: bytes[place] = Array("0123456789-\"{}[],:e".utf8)[next(19)]
                case 3: for near in place..<min(place + 8, bytes.count) { bytes[near] = next(2) == 0 ? 0 : 255 }
                default: if next(10) == 0 { bytes.removeLast(next(bytes.count)) }
                }
                if bytes.isEmpty { break }
            }
            let path = folder.file("mutated.apus")
            try writeBytes(bytes, to: path)
            do {
                let model = try RecommenderModel(path: path)
                loaded += 1
                let recommender = try FactorizationRecommender(
                    factors: model.factors!, itemCounts: model.itemCounts,
                    userDegrees: (0..<model.users.count).map { model.seen.range(ofRow: $0).count }, stream: stream)
                guard model.users.count > 0, model.items.count > 0 else { continue }
                let top = try recommender.topItems(
                    for: .users([0]), count: 5, exclusions: model.seen.selectingRows([0]), filter: ItemFilter())
                #expect(top.items.allSatisfy { $0 < Int32(model.items.count) })
                _ = try recommender.foldInUsers(model.seen.selectingRows([0]))
                _ = try recommender.explain(item: 0, history: model.history(of: 0))
                _ = (model.users.strings, (0..<model.items.count).map(model.title))
            } catch is DataError { refused += 1 } catch is ComputeError { refused += 1 }
        }
        #expect(loaded > 20 && refused > 20, "\(loaded) loaded, \(refused) refused")
    }

    // MARK: Old files

    private static let fixtures = #filePath.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/Fixtures/"

    /// Writes the files that later versions must read. Once for every version of the format, name this folder in
    /// `APUS_WRITE_FIXTURES`, and enter the printed figures below; otherwise they go to a folder that goes away.
    @Test func fixturesAreSmall() throws {
        let temporary = TemporaryFolder()
        let folder = environment("APUS_WRITE_FIXTURES") ?? temporary.path
        for feedback in Feedback.allCases {
            let path = "\(folder)/\(feedback.rawValue)-v\(FactorizationFactors.formatVersion).apus"
            try Self.small(feedback).save(to: path)
            let model = try RecommenderModel(path: path)
            let figures = (0..<4).map { model.factors!.predict(user: $0 * 9, item: $0 * 7) }
            if folder != temporary.path { print(path, figures) }
            #expect(try readBytes(path).count < 20_000)
        }
    }

    /// Format version 1, as it was first released.
    @Test(arguments: [
        ("implicit-v1.apus", [0.7091082392340858, 0.8944582885734658, 0.7177540722458893, 0.7301057959047164]),
        ("explicit-v1.apus", [3.963991379979902, 3.339409577048771, 4.726593306064156, 2.6384939694400957]),
    ])
    func oldFilesKeepLoading(name: String, predictions: [Double]) throws {
        let model = try RecommenderModel(path: Self.fixtures + name)
        #expect(model.users.count == 40 && model.items.count == 24 && model.seen.entryCount == 400)
        #expect(model.users[0] == "u0" && model.title(of: 0) == "Title of \(model.items[0]) – «é»")
        #expect(model.provenance.iterations == 3 && model.provenance.split?.kind == .users)
        #expect(model.factors!.options.confidence == .log && model.factors!.options.factors == 4)
        for (place, expected) in predictions.enumerated() {
            #expect(abs(model.factors!.predict(user: place * 9, item: place * 7) - expected) < 1e-9)
        }
    }
}
