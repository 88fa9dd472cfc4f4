import Compute
import Core
import Learners
import Tables
import Testing

/// Convolutional networks: what they tell apart, how they are described, and a published figure.
@Suite("Networks for pictures") struct ImageTests {
    private func context(_ device: String) throws -> LearningContext {
        LearningContext(stream: try TestDevices.stream(device))
    }

    /// Crosses and squares of a few pixels, anywhere on a noisy picture: where a pixel lies says nothing.
    private static func shapes(_ count: Int, seed: UInt64, in folder: TemporaryFolder, _ name: String) throws
        -> ImageSet
    {
        let random = Philox(seed: seed, stream: 1)
        var (bytes, labels): ([UInt8], [UInt8]) = ([], [])
        for picture in 0..<count {
            let start = UInt64(picture) * 512
            let label = random.integer(start, below: 3)
            var pixels = (0..<144).map { UInt8(random.integer(start + 8 + UInt64($0), below: 60)) }
            let (y, x) = (random.integer(start + 1, below: 8), random.integer(start + 2, below: 8))
            for (v, u) in [
                [(0, 0), (0, 4), (4, 0), (4, 4), (1, 1), (1, 3), (3, 1), (3, 3), (2, 2)],
                [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2), (2, 0), (2, 1), (2, 3), (2, 4)],
                [(0, 1), (0, 2), (0, 3), (1, 0), (3, 0), (4, 1), (4, 3), (1, 4), (3, 4)],
            ][label] { pixels[(y + v) * 12 + x + u] = 200 }
            bytes += pixels
            labels.append(UInt8(label))
        }
        func header(_ extents: [Int]) -> [UInt8] {
            var bytes: [UInt8] = [0, 0, 8, UInt8(extents.count)]
            for extent in extents { bytes += [0, 0, UInt8(extent >> 8), UInt8(extent & 255)] as [UInt8] }
            return bytes
        }
        try writeBytes(header([count, 12, 12]) + bytes, to: folder.file(name + "-images"))
        try writeBytes(header([count]) + labels, to: folder.file(name + "-labels"))
        return try ImageSet(images: folder.file(name + "-images"), labels: folder.file(name + "-labels"))
    }

    @Test("tell shapes apart wherever they are", arguments: TestDevices.names)
    func shapes(_ device: String) throws {
        let folder = TemporaryFolder()
        let training = try Self.shapes(900, seed: 1, in: folder, "a")
        let test = try Self.shapes(300, seed: 2, in: folder, "b")
        #expect(training.shape.height == 12 && training.shape.width == 12 && training.shape.channels == 1)
        var learner = CNNLearner()
        learner.channels = [8, 16]
        learner.hidden = [32]
        learner.epochs = 8
        learner.learningRate = 0.005
        let (model, evaluation) = try ImageTraining.train(
            learner, on: training, test: test, context: context(device))
        let accuracy = try #require(evaluation?.metric("accuracy"))
        #expect(accuracy > 0.93, "\(accuracy)")
        // A file of pictures is a table to it.
        try model.save(to: folder.file("model"))
        let opened = try TableModel(path: folder.file("model"))
        let table = try TableReader.read(folder.file("b-images"))
        let predictions = try opened.predict(table, context: context(device))
        let hits = (0..<test.count).count { row in
            (0..<3).max { predictions[row, $0] < predictions[row, $1] } == test.labels[row]
        }
        #expect(abs(Double(hits) / Double(test.count) - accuracy) < 1e-9)
    }

    /// Extents whose product no integer holds, and one that no memory does.
    @Test(arguments: [[UInt8](repeating: 255, count: 12), [0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 255, 255]])
    func headersThatClaimTooMuchAreRefused(_ extents: [UInt8]) throws {
        let folder = TemporaryFolder()
        try writeBytes([0, 0, 8, 3] + extents + [1, 2, 3], to: folder.file("images"))
        try writeBytes([0, 0, 8, 1, 0, 0, 0, 1, 0], to: folder.file("labels"))
        #expect(throws: DataError.self) { try ImageSet(images: folder.file("images"), labels: folder.file("labels")) }
        #expect(throws: DataError.self) { try IDXFile(path: folder.file("images")) }
    }

    @Test("that memory does not hold are learned as well", arguments: TestDevices.names)
    func streamed(_ device: String) throws {
        let folder = TemporaryFolder()
        _ = try Self.shapes(900, seed: 1, in: folder, "a")
        let test = try Self.shapes(300, seed: 2, in: folder, "b")
        let files = try ImageFiles(images: folder.file("a-images"), labels: folder.file("a-labels"))
        let all = try files.all()
        let sample = try files.sample(200, seed: 5)
        #expect(files.count == 900 && all.count == 900 && sample.count == 200)
        // Each of the sample is a picture of the file with its label.
        let known = Set((0..<900).map { [all.labels[$0]] + all.pixels.row($0).map { Int($0) } })
        #expect((0..<200).allSatisfy { known.contains([sample.labels[$0]] + sample.pixels.row($0).map { Int($0) }) })
        var learner = CNNLearner()
        learner.channels = [8, 16]
        learner.hidden = [32]
        learner.epochs = 8
        learner.learningRate = 0.005
        learner.validation = 0.1
        let (model, evaluation) = try ImageTraining.train(
            learner, streaming: files, sample: sample, partBytes: 4 * 144 * 300, folder: folder.path, test: test,
            context: context(device))
        let accuracy = try #require(evaluation?.metric("accuracy"))
        #expect(accuracy > 0.9, "\(accuracy)")
        #expect(model.provenance.rows == 900)
        #expect((model.pipeline.predictor as? NetworkPredictor)?.settings.history.validationLosses.count == 8)
    }

    @Test func layersAsText() throws {
        let layers = try ArchitectureText.layers(
            """
            layers:
              - convolution: 8 5x3 stride 2 padding 1
              - activation: relu
              - max-pool: 2x2
              - mean-pool: 3x3 stride 1
              - global-mean
            """)
        #expect(
            layers == [
                .convolution(channels: 8, height: 5, width: 3, stride: 2, padding: 1), .activation(function: .relu),
                .pooling(averages: false, height: 2, width: 2, stride: 2),
                .pooling(averages: true, height: 3, width: 3, stride: 1), .globalMean,
            ])
        for (line, word) in [
            ("- convolution: 3x3", "32 3x3 padding 1"), ("- convolution: 8 3x3 stride 0", "expects channels"),
            ("- max-pool: 2", "such as `2x2`"), ("- flatten: 3", "has no value"), ("- max-pol: 2x2", "max-pool"),
            ("- sum:\n  - dense: 3", "- branch:"), ("- concatenation: 3", "list of branches"),
        ] {
            do {
                _ = try ArchitectureText.layers(line)
                Issue.record("\(line) was read")
            } catch { #expect("\(error)".contains(word), "\(error)") }
        }
        #expect(
            try ArchitectureText.layers("- sum:\n    - branch:\n        - dense: 3\n    - branch:\n        - flatten")
                == [.sum(branches: [[.dense(units: 3, bias: true)], [.flatten]])])
    }

    @Test func refusesWhatDoesNotFit() throws {
        func reason(_ input: LayerShape, _ layers: [LayerSpecification]) -> String {
            do {
                _ = try NetworkArchitecture(input: input, layers: layers).resolved()
                return ""
            } catch { return "\(error)" }
        }
        let picture = LayerShape(height: 4, width: 4, channels: 1)
        #expect(
            reason(picture, [.convolution(channels: 2, height: 5, width: 5, stride: 1, padding: 0)])
                .contains("layer 0 (convolution): a window of 5 × 5, padding 0, does not fit its input 4 × 4 × 1"))
        #expect(
            reason(picture, [.convolution(channels: 0, height: 3, width: 3, stride: 1, padding: 1)])
                .contains("channels must be from 1"))
        #expect(reason(picture, [.pooling(averages: false, height: 2, width: 2, stride: 0)]).contains("max-pool"))
        let folder = TemporaryFolder()
        _ = try Self.shapes(4, seed: 1, in: folder, "a")
        _ = try Self.shapes(5, seed: 1, in: folder, "b")
        #expect(throws: DataError.self) {
            _ = try ImageSet(images: folder.file("a-images"), labels: folder.file("b-labels"))
        }
        #expect(throws: DataError.self) {
            _ = try ImageSet(images: folder.file("a-images"), labels: folder.file("a-labels"), shape: (5, 5, 1))
        }
    }

    /// A published figure: small convolutional networks reach 90.5 % and more in ten epochs. With APUS_LONG_TESTS the
    /// whole of it, some minutes; else one epoch, which has to come to 80 %.
    @Test("Fashion-MNIST: 90.5 % in ten epochs, 80 % in one", .enabled(if: dataFolder != nil))
    func fashion() throws {
        let isLong = environment("APUS_LONG_TESTS") != nil
        var learner = CNNLearner()
        learner.epochs = isLong ? 10 : 1
        let folder = try #require(dataFolder) + "/fashion-mnist/"
        let training = try ImageSet(
            images: folder + "train-images-idx3-ubyte.gz", labels: folder + "train-labels-idx1-ubyte.gz")
        let test = try ImageSet(
            images: folder + "t10k-images-idx3-ubyte.gz", labels: folder + "t10k-labels-idx1-ubyte.gz")
        let (_, evaluation) = try ImageTraining.train(learner, on: training, test: test, context: context("cpu"))
        let accuracy = try #require(evaluation?.metric("accuracy"))
        #expect(accuracy >= (isLong ? 0.905 : 0.8), "\(accuracy)")
    }
}
