import Compute
import Core
import Glibc
import Learners
import Tables
import Testing

/// Images of clothes: a published figure for a perceptron, and the reader of their format.
@Suite("Fashion-MNIST") struct FashionTests {
    private func images(_ name: String) throws -> NetworkData {
        let folder = try #require(dataFolder) + "/fashion-mnist/"
        let images = try IDXFile(path: folder + "\(name)-images-idx3-ubyte.gz")
        let labels = try IDXFile(path: folder + "\(name)-labels-idx1-ubyte.gz")
        try #require(images.shape.count == 3 && images.shape[0] == labels.shape[0])
        let columns = images.shape[1] * images.shape[2]
        let features = HostMatrix(rows: images.shape[0], columns: columns)
        for (place, byte) in images.elements.enumerated() { features.storage[place] = Float(byte) / 255 - 0.286 }
        return NetworkData(features: features, labels: labels.elements.map { Int32($0) })
    }

    @Test("a perceptron reaches 88.5 % in ten epochs", .enabled(if: dataFolder != nil))
    func perceptron() throws {
        let stream = try TestDevices.stream("cpu")
        let (training, test) = (try images("train"), try images("t10k"))
        var options = NetworkTrainingOptions()
        options.batchSize = 256
        options.learningRate = 0.002
        options.schedule = .cosine
        let architecture = NetworkArchitecture.perceptron(inputs: 784, hidden: [256], dropout: 0.2, outputs: 10)
        let result = try NetworkTrainer(architecture, objective: .classes, options: options, stream: stream)
            .train(training)
        let outputs = try NetworkRunner(architecture, weights: result.weights, stream: stream).outputs(test.features)
        let hits = (0..<test.rows).filter { row in
            let scores = outputs.row(row)
            return scores.indices.max { scores[$0] < scores[$1] } == Int(test.labels[row])
        }.count
        #expect(Double(hits) / Double(test.rows) >= 0.885, "\(hits) of \(test.rows)")
    }

    @Test func filesInIDXFormat() throws {
        let folder = TemporaryFolder()
        try writeBytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255], to: folder.file("a"))
        let file = try IDXFile(path: folder.file("a"))
        #expect(file.shape == [2, 3] && file.elements == [1, 2, 3, 4, 5, 255])
        for (name, bytes, reason) in [
            ("b", [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3] as [UInt8], "cut short"),
            ("c", [0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0], "type 13"), ("d", [80, 75, 3, 4], "not an IDX file"),
            ("e", [0, 0, 8, 3, 0, 0], "cut short within"), ("f", [], "not an IDX file"),
        ] {
            try writeBytes(bytes, to: folder.file(name))
            do {
                _ = try IDXFile(path: folder.file(name))
                Issue.record("\(name) was read")
            } catch { #expect("\(error)".contains(reason), "\(error)") }
        }
    }
}
