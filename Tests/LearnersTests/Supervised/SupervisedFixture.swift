import Compute
import Core
import Foundation
import Learners
import Tables
import Testing

/// Answers of scikit-learn, from scripts/make-fixtures/supervised.py.
final class SupervisedFixture: Sendable {
    static let shared = SupervisedFixture()

    private let numbers: [String: [Double]]
    let rows: Int
    let columns: Int

    private init() {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/supervised.json")
        var flat: [String: [Double]] = [:]
        if let data = try? Data(contentsOf: path),
            let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
        {
            for (name, value) in object { Self.collect(name, value, &flat) }
        }
        numbers = flat
        rows = Int(flat["rows"]?.first ?? 0)
        columns = Int(flat["columns"]?.first ?? 0)
    }

    private static func collect(_ name: String, _ value: Any, _ flat: inout [String: [Double]]) {
        switch value {
        case let list as [Any]: flat[name] = list.compactMap { ($0 as? NSNumber)?.doubleValue }
        case let object as [String: Any]: for (key, inner) in object { collect("\(name).\(key)", inner, &flat) }
        case let number as NSNumber: flat[name] = [number.doubleValue]
        default: break
        }
    }

    func values(_ name: String) throws -> [Double] { try #require(numbers[name], "the fixture lacks \(name)") }

    func features(_ name: String, columns: Int) throws -> Features {
        let values = try values(name)
        return Features(
            HostMatrix(rows: values.count / columns, columns: columns, elements: values.map { Float($0) }))
    }

    /// The training rows with one of the targets.
    func training(_ target: String, features: String = "x", weighted: Bool = false) throws -> TrainingSet {
        let task: SupervisedTask =
            switch target {
            case "number": .regression
            case "binary": .binary(negative: "0", positive: "1")
            default: try .classification(["0", "1", "2"])
            }
        return TrainingSet(
            features: try self.features(features, columns: features == "x" ? columns : 8), task: task,
            target: try values(target), weights: weighted ? try values("weights") : nil)
    }
}

/// A context on the first device, the CPU.
func cpuContext(threads: Int? = nil) throws -> LearningContext {
    LearningContext(stream: try TestDevices.stream("cpu"), threads: threads)
}

/// The largest difference between two lists.
func largestDifference(_ a: [Double], _ b: [Double]) -> Double {
    a.count == b.count ? zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } : .infinity
}

extension HostMatrix {
    var doubles: [Double] { storage.elements.map { Double($0) } }
}

extension Features {
    /// The same values, stored as a sparse matrix.
    var asSparse: Features {
        let matrix = dense
        var entries: [(row: Int, column: Int, value: Float)] = []
        for row in 0..<matrix.rows {
            for column in 0..<matrix.columns where matrix[row, column] != 0 {
                entries.append((row, column, matrix[row, column]))
            }
        }
        return Features(
            columns: columns,
            values: .sparse(HostSparseMatrix(rows: matrix.rows, columns: matrix.columns, entries: entries)))
    }
}

enum SupervisedMath {
    static func exponential(_ x: Double) -> Double { exp(x) }
}
